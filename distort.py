"""Seeded changes of the features of a clip, drawn anew each time that a network meets it.

`augment.py` changes waveforms, which costs an extraction, so every clip gets a few copies. What
costs next to nothing is changed here, and never twice the same: the level, and what is hidden.
"""

import numpy as np

from features import FEATURE_GROUPS, FEATURE_NAMES, LOUDER, MEL, N_MELS

GAIN_DB = 10.0

_GROUPS = (*FEATURE_GROUPS, slice(len(FEATURE_NAMES), None))


def amplify(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a clip louder or softer by up to `GAIN_DB`.

    Args:
        frames: (frames, 264) float32 of `features.decibel`; left as they are.
        rng: from which alone the gain is drawn.
    """
    return frames + LOUDER * np.float32(rng.uniform(-GAIN_DB, GAIN_DB))


def mask(crop: np.ndarray, rng: np.random.Generator) -> None:
    """Set stretches of standardised frames to 0, the mean.

    The masks of SpecAugment (Park et al., Interspeech 2019), over time, over mel bands and over
    whole groups of features, of which the pitch is one.

    Args:
        crop: (frames, 270), changed in place: 264 numbers, and `pitch.contour`.
        rng: from which alone the stretches are drawn.
    """
    if rng.random() < 0.5:
        width = int(rng.integers(4, 24))
        band = MEL.start + int(rng.integers(N_MELS - width))
        crop[:, band : band + width] = 0
    if rng.random() < 0.3:
        crop[:, _GROUPS[rng.integers(len(_GROUPS))]] = 0
    if rng.random() < 0.5:
        width = int(rng.integers(4, 16))
        moment = int(rng.integers(max(1, len(crop) - width)))
        crop[moment : moment + width] = 0
