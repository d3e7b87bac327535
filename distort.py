"""Seeded changes of the features of a clip, drawn anew each time that a network meets it.

`augment.py` changes waveforms, which costs an extraction, so every clip gets a few copies. What can
be said in mel bands is changed here instead, in half a millisecond, and never twice the same: the
tempo, the length of the vocal tract, the colour and the upper end of what was recorded, the noise
behind the voice. MFCC and deltas are computed anew from the changed mel bands, and centroid,
bandwidth and zero crossings follow them.
"""

import numpy as np

import features
from features import FEATURE_GROUPS, FEATURE_NAMES, MEL, N_CHROMA, N_MELS, N_MFCC, RMS

SHARE = 0.7  # of the meetings in which each of tempo, tract and colour is changed
LOWPASS_SHARE = 0.4
NOISE_SHARE = 0.35
TEMPO = 0.12  # at most this much faster or slower, as a logarithm
TRACT = 0.12  # frequencies scaled by at most this much, as a logarithm
COLOUR_DB = 3.0  # standard deviation of the slowest wave over the mel scale
LOWPASS_HZ = (3000.0, 10_000.0)  # above which nothing was recorded
LOWPASS_DB = (60.0, 400.0)  # by which the level falls per octave there
NOISE_DB = (8.0, 40.0)  # speech above noise
NOISE_TILT_DB = (-15.0, 5.0)  # from the lowest to the highest band
GAIN_DB = 10.0

CHROMA = slice(3 * N_MFCC, 3 * N_MFCC + N_CHROMA)
CENTROID = FEATURE_NAMES.index("spectral_centroid")
BANDWIDTH = CENTROID + 1
CROSSINGS = CENTROID + 2

#: What one decibel more changes: the first MFCC is the orthonormal sum of the mel decibels.
_LOUDER = np.zeros(len(FEATURE_NAMES), np.float32)
_LOUDER[0] = np.sqrt(N_MELS)
_LOUDER[MEL] = 1.0
_LOUDER[RMS] = 1.0

_CENTRES = features.mel_frequencies()[1:-1].astype(np.float32)
_WIDTHS = np.gradient(_CENTRES)
_FLOOR = np.float32(10 * np.log10(features.POWER_FLOOR))
_NEPER = np.float32(np.log(10) / 10)  # exp(_NEPER * decibel) is a power


def distort(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a new variant of a clip.

    Args:
        frames: (frames, 264) float32 of `features.decibel`; left as they are.
        rng: from which alone the changes are drawn.

    Returns:
        (frames', 264) float32, faster or slower by up to `TEMPO`.
    """
    if len(frames) < features.DELTA_WIDTH:
        return _amplify(frames, rng)
    frames = _change_tempo(frames, rng) if rng.random() < SHARE else frames.copy()
    if rng.random() < SHARE:
        _change_tract(frames, rng)
    mel = frames[:, MEL]
    centre, width = _moments(mel)
    if rng.random() < SHARE:
        mel += _colour(rng)
    if rng.random() < LOWPASS_SHARE:
        mel[:] = _cut_off(mel, rng)
    if rng.random() < NOISE_SHARE:
        mel[:] = _add_noise(mel, rng)
    new_centre, new_width = _moments(mel)
    frames[:, CENTROID] *= new_centre / centre
    frames[:, BANDWIDTH] *= new_width / width
    frames[:, CROSSINGS] *= new_centre / centre
    frames[:, :N_MFCC] = features.mel_to_mfcc(mel)
    frames[:, N_MFCC : 3 * N_MFCC] = features.deltas(frames[:, :N_MFCC])
    return _amplify(frames, rng)


def mask(crop: np.ndarray, rng: np.random.Generator) -> None:
    """Set stretches of standardised frames to 0, the mean.

    The masks of SpecAugment (Park et al., Interspeech 2019), over time, over mel bands and over
    whole groups of features.

    Args:
        crop: (frames, 264), changed in place.
        rng: from which alone the stretches are drawn.
    """
    if rng.random() < 0.5:
        width = int(rng.integers(4, 24))
        band = MEL.start + int(rng.integers(N_MELS - width))
        crop[:, band : band + width] = 0
    if rng.random() < 0.3:
        crop[:, FEATURE_GROUPS[rng.integers(len(FEATURE_GROUPS))]] = 0
    if rng.random() < 0.5:
        width = int(rng.integers(4, 16))
        moment = int(rng.integers(max(1, len(crop) - width)))
        crop[moment : moment + width] = 0


def _amplify(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return frames + _LOUDER * np.float32(rng.uniform(-GAIN_DB, GAIN_DB))


def _change_tempo(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Interpolate over time."""
    length = max(features.DELTA_WIDTH, round(len(frames) * np.exp(rng.uniform(-TEMPO, TEMPO))))
    place = np.linspace(0, len(frames) - 1, length)
    before = np.minimum(place.astype(int), len(frames) - 2)
    share = (place - before).astype(np.float32)[:, np.newaxis]
    return frames[before] * (1 - share) + frames[before + 1] * share


def _change_tract(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Scale the frequency axis, as a vocal tract of another length would.

    Vocal tract length perturbation (Jaitly & Hinton, ICML workshop 2013), on mel bands.
    """
    factor = np.exp(rng.uniform(-TRACT, TRACT))
    place = np.interp(_CENTRES * factor, _CENTRES, np.arange(N_MELS))
    below = np.minimum(place.astype(int), N_MELS - 2)
    share = place - below
    weights = np.zeros((N_MELS, N_MELS), np.float32)
    weights[below, np.arange(N_MELS)] = 1 - share
    weights[below + 1, np.arange(N_MELS)] = share
    frames[:, MEL] = frames[:, MEL] @ weights
    frames[:, CENTROID : CROSSINGS + 1] /= factor
    notes = -N_CHROMA * np.log2(factor)
    whole = int(np.floor(notes))
    chroma = np.roll(frames[:, CHROMA], whole, axis=1)
    share = np.float32(notes - whole)
    frames[:, CHROMA] = chroma * (1 - share) + np.roll(chroma, 1, axis=1) * share


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Return the decibels by which a microphone raises each mel band: three slow waves."""
    waves = np.arange(1, 4)[:, np.newaxis]
    height = rng.normal(0, COLOUR_DB / waves)
    phase = rng.uniform(0, 2 * np.pi, waves.shape)
    curve = height * np.cos(waves * np.linspace(0, np.pi, N_MELS) + phase)
    return curve.sum(axis=0).astype(np.float32)


def _moments(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return about where the spectrum of each frame has its centre, and how wide it is (Hz)."""
    magnitude = np.exp(_NEPER / 2 * mel) * _WIDTHS
    magnitude /= magnitude.sum(axis=1, keepdims=True)
    centre = magnitude @ _CENTRES
    variance = magnitude @ np.square(_CENTRES) - np.square(centre)
    return centre, np.sqrt(np.maximum(variance, 1.0))


def _cut_off(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take away what a low sampling rate or a codec does not keep."""
    highest = np.exp(rng.uniform(*np.log(LOWPASS_HZ)))
    octaves = np.maximum(0, np.log2(_CENTRES / np.float32(highest)))
    return np.maximum(mel - octaves * np.float32(rng.uniform(*LOWPASS_DB)), _FLOOR)


def _add_noise(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # exp and log: NumPy has them in vector instructions, powers of ten not.
    power = np.exp(_NEPER * mel)
    level = 10 * np.log10(power.mean()) - rng.uniform(*NOISE_DB)
    tilt = rng.uniform(*NOISE_TILT_DB) * np.linspace(-0.5, 0.5, N_MELS)
    # A band's noise power scatters by about 2 dB from frame to frame.
    scatter = 2 * rng.standard_normal(mel.shape, dtype=np.float32)
    noise = np.exp(_NEPER * ((level + tilt).astype(np.float32) + scatter))
    return np.log(power + noise) / _NEPER
