"""The pitch of a voice, read off the mel bands of its frames.

None of the 264 numbers of a frame is its pitch, and a network that hears two dozen voices hardly
finds it in them. But the lower mel bands lie 26 Hz apart, near enough to tell the harmonics of a
voice from each other: they stand as far apart as the voice is high. So the bands are compared with
combs, one for each pitch, as SWIPE does (Camacho & Harris, JASA 2008): cosines over frequency,
whose peaks are the harmonics.

Everything is `keras.ops`: the same lines run in the saved networks and where they learn.
"""

import keras
import numpy as np
from keras import ops

from features import mel_frequencies

#: Of a frame: voiced or not, how high, how far over or under the clip's mean, how far it rises from
#: shortly and from longer before to after it, and how clear it is; each about as far from 0 as a
#: standardised feature.
N_PITCH = 6

_BANDS = 56  # of the mel bands, from the lowest: up to 1.5 kHz
_NEIGHBOURS = 9  # bands of which a band is compared with the mean
_PEAK_DB = 15.0  # of a band over its neighbours: more counts as so much
_PITCHES = 65.0 * 2 ** np.arange(0, 3.25, 1 / 16)  # Hz
_SHARPNESS = 2.5  # by how much a comb must fit better to be e times as likely
_VOICED, _HARDLY = 18.0, 3.0  # fit of a frame that may be voiced or not, and how far that is sure
_RANGE = 6 / 16  # octaves: the spread around the pitches of a clip within which others are likely
_UNLIKELY = 0.02  # how likely those are that are far from all of the clip's
# Frames before and after a frame between which the pitch rises, and how many octaves are usual.
_RISES = ((2, 0.12), (5, 0.25))
# What is usual of voices, in octaves over 1 Hz, and spreads in octaves.
_USUAL, _VOICES, _WITHIN = 7.6, 0.6, 0.25
_LIMIT = 2.0


def contour(mel: keras.KerasTensor, is_frame: keras.KerasTensor) -> keras.KerasTensor:
    """Return the pitch of each frame: (batch, frames, `N_PITCH`), from -2 to 2, 0 in padding.

    It does not change with the level.

    Args:
        mel: (batch, frames, 128) mel bands in decibel.
        is_frame: (batch, frames, 1), 1 for a frame and 0 for padding behind a clip.
    """
    detail = ops.matmul(mel[..., :_BANDS], _over_neighbours())
    detail = ops.clip(detail, -_PEAK_DB, _PEAK_DB) * is_frame
    fit = ops.matmul(detail, _combs())
    before, after = _around(fit, 1)
    fit = 0.25 * before + 0.5 * fit + 0.25 * after
    best = ops.max(fit, axis=-1, keepdims=True)
    voiced = ops.sigmoid((best - _VOICED) / _HARDLY) * is_frame
    likely = ops.softmax(fit / _SHARPNESS)
    # Half or twice the pitch fits nearly as well: what is near the rest of the clip is likelier.
    nearby = ops.matmul(ops.sum(voiced * likely, axis=1, keepdims=True) + 1e-3, _blur())
    likely *= nearby / ops.max(nearby, axis=-1, keepdims=True) + _UNLIKELY
    likely /= ops.sum(likely, axis=-1, keepdims=True)
    octave = ops.matmul(likely, np.log2(_PITCHES)[:, np.newaxis].astype(np.float32))
    mean = ops.sum(voiced * octave, axis=1, keepdims=True)
    mean /= ops.maximum(ops.sum(voiced, axis=1, keepdims=True), 1e-3)
    rises = []
    for frames, usual in _RISES:
        before, after = _around(octave, frames)
        was_voiced, will_be_voiced = _around(voiced, frames)
        rises.append((after - before) * was_voiced * will_be_voiced / usual)
    found = ops.concatenate(
        [
            2 * voiced - 1,
            voiced * (octave - _USUAL) / _VOICES,
            voiced * (octave - mean) / _WITHIN,
            *rises,
            (best - _VOICED) / 10,
        ],
        axis=-1,
    )
    return ops.clip(found, -_LIMIT, _LIMIT) * is_frame


def _around(x: keras.KerasTensor, frames: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return what was so many frames before, and what will be after: zeros beyond the ends."""
    padded = ops.pad(x, [[0, 0], [frames, frames], [0, 0]])
    return padded[:, : -2 * frames], padded[:, 2 * frames :]


def _blur() -> np.ndarray:
    """Return how near pitches are to each other: (pitches, pitches), 1 of each to itself."""
    octaves = np.log2(_PITCHES)
    distance = (octaves - octaves[:, np.newaxis]) / _RANGE
    return np.exp(-0.5 * distance**2).astype(np.float32)


def _over_neighbours() -> np.ndarray:
    """Return the matrix that takes off each band the mean of its neighbours and itself."""
    reach = _NEIGHBOURS // 2
    places = np.arange(_BANDS)
    mean = np.zeros((_BANDS, _BANDS))
    for offset in range(-reach, reach + 1):
        np.add.at(mean, (np.clip(places + offset, 0, _BANDS - 1), places), 1 / _NEIGHBOURS)
    return (np.eye(_BANDS) - mean).astype(np.float32)


def _combs() -> np.ndarray:
    """Return the comb of each pitch, of mean 0 and length 1: (bands, pitches)."""
    hertz = mel_frequencies()[1 : _BANDS + 1, np.newaxis]
    heard = hertz >= _PITCHES / 2  # what lies under the first valley says nothing
    # The higher harmonics are weaker, the bands wider.
    highest = hertz[-1, 0]
    combs = np.cos(2 * np.pi * hertz / _PITCHES)
    combs *= np.interp(hertz, [0.6 * highest, highest], [1.0, 0.2])
    combs -= np.where(heard, combs, 0).sum(axis=0) / heard.sum(axis=0)
    combs = np.where(heard, combs, 0)
    return (combs / np.linalg.norm(combs, axis=0)).astype(np.float32)
