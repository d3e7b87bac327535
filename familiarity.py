"""How unlike the recordings of the training a recording is, and how much less to be sure of it.

A temperature that suits new voices of the corpora of the training (Guo et al., ICML 2017) promises too
much of another corpus: networks that heard one were nearly as sure of the clips of the other, and
right about half as often. But it is easily told that a clip comes from elsewhere: what microphone,
room and codec do to every frame stands in its cepstral mean (Atal, JASA 1974), and new voices of a
corpus share it. So the temperature rises with the distance from there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Share of a corpus' own clips that are familiar beyond doubt.
FAMILIAR_SHARE = 0.99

#: Half as far again as these, a recording is entirely strange.
STRANGE = 1.5

#: By how much the temperature of an entirely strange recording is higher: chosen on half of the
#: speakers of either corpus, about whom networks of the other were asked (docs/experiments.md).
TEMPERATURE = 2.3

_MIN_STD = 0.1  # in decibel: of a corpus of one clip


def describe(cepstral_means: np.ndarray) -> dict[str, Any]:
    """Return what a manifest keeps of the recordings of one corpus.

    Args:
        cepstral_means: (clips, 128) of `features.cepstral_mean`.

    Returns:
        `mean` and `std`, 128 numbers each, and `far`: the mean square of the deviations from there
        that few of the clips exceed (`FAMILIAR_SHARE`).
    """
    # Four decimals are far below what any two clips differ by, and half the file.
    mean = cepstral_means.mean(axis=0).astype(np.float64).round(4)
    std = np.maximum(cepstral_means.std(axis=0), _MIN_STD).astype(np.float64).round(4)
    distances = np.mean(np.square((cepstral_means - mean) / std), axis=1)
    far = max(1.0, float(np.quantile(distances, FAMILIAR_SHARE)))
    return {"mean": mean.tolist(), "std": std.tolist(), "far": far}


def strangeness(cepstral_means: np.ndarray, corpora: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return from 0, as the recordings of the nearest corpus are, to 1, like none: (...).

    Args:
        cepstral_means: (..., 128) of `features.cepstral_mean`.
        corpora: of `describe`.
    """
    distances = [
        np.mean(np.square((cepstral_means - corpus["mean"]) / corpus["std"]), axis=-1)
        / corpus["far"]
        for corpus in corpora
    ]
    nearest = np.maximum(np.min(distances, axis=0), 1.0)
    return np.minimum(np.log(nearest) / np.log(STRANGE), 1.0)


def doubt(probabilities: np.ndarray, strange: np.ndarray | float) -> np.ndarray:
    """Return probabilities as they are to be believed of strange recordings: (..., emotions).

    Their order stays. A temperature over the one that a network has divides its logits once more,
    which is a root of its probabilities.

    Args:
        probabilities: (..., emotions), calibrated for familiar recordings.
        strange: (...) of `strangeness`.
    """
    roots = probabilities ** (TEMPERATURE ** -np.asarray(strange, np.float64)[..., np.newaxis])
    return roots / roots.sum(axis=-1, keepdims=True)
