"""How unlike the recordings of the training a recording is, and what to believe of it then.

A temperature that suits new voices of the training (Guo et al., ICML 2017) promises too
much of another corpus: networks that heard one were nearly as sure of the clips of the other, and
right about half as often. But it is easily told that a clip comes from elsewhere: what microphone,
room and codec do to every frame stands in its cepstral mean (Atal, JASA 1974), and new voices of a
corpus share it. So the temperature rises with the distance from there, and the averages are heard
beside the network.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Share of a corpus' own clips that are familiar beyond doubt.
FAMILIAR_SHARE = 0.99

#: So many times as far away as these, a recording is entirely strange.
STRANGE = 2.0

#: By how much the temperature of an entirely strange recording is higher, and how much of what its
#: averages say is added then: chosen by the likelihood of half of the speakers of either corpus,
#: about whom networks of the other were asked, and by what it costs at home (docs/experiments.md).
TEMPERATURE = 1.8
AVERAGES_SHARE = 0.5

# Of a corpus of one clip, or of equal ones: a deviation in decibel, and the variance that is left.
_MIN_STD = 0.1
_LEAST = 1e-6


def describe(cepstral_means: np.ndarray) -> dict[str, Any]:
    """Return what a manifest keeps of the recordings of one corpus.

    Their mean and covariance, for the Mahalanobis distance (as Lee et al., NeurIPS 2018, find what
    is out of distribution), shrunk after Ledoit and Wolf (2004), so that a few clips are enough.

    Args:
        cepstral_means: (clips, 40) of `features.cepstral_mean`.

    Returns:
        `mean`: 40 numbers; `whitening`: 40 × 40, which makes differences from there uncorrelated
        and of unit variance; `far`: the mean square that these have in few of the clips
        (`FAMILIAR_SHARE`).
    """
    from sklearn.covariance import ledoit_wolf

    mean = cepstral_means.mean(axis=0)
    std = np.maximum(cepstral_means.std(axis=0), _MIN_STD)
    differences = (cepstral_means - mean) / std
    if len(differences) == 1:
        differences = np.repeat(differences, 2, axis=0)
    covariance = ledoit_wolf(differences, assume_centered=True)[0] + _LEAST * np.eye(mean.size)
    # Rounded to what is far below the difference of any two clips.
    corpus: dict[str, Any] = {
        "mean": mean.astype(np.float64).round(4),
        "whitening": (np.linalg.cholesky(np.linalg.inv(covariance)) / std[:, np.newaxis]).round(6),
    }
    distances = _distances(cepstral_means, corpus)
    far = max(1.0, float(np.quantile(distances, FAMILIAR_SHARE)))
    return {name: value.tolist() for name, value in corpus.items()} | {"far": far}


def strangeness(cepstral_means: np.ndarray, corpora: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return from 0, as the recordings of the nearest corpus are, to 1, like none: (...).

    Args:
        cepstral_means: (..., 40) of `features.cepstral_mean`.
        corpora: of `describe`.
    """
    distances = [_distances(cepstral_means, corpus) / corpus["far"] for corpus in corpora]
    nearest = np.maximum(np.min(distances, axis=0), 1.0)
    return np.minimum(np.log(nearest) / np.log(STRANGE), 1.0)


def doubt(
    probabilities: np.ndarray, strange: np.ndarray | float, averages_say: np.ndarray | float = 0.0
) -> np.ndarray:
    """Return probabilities as they are to be believed of strange recordings: (..., emotions).

    A temperature over the one that a network has divides its logits once more, which is a root of
    its probabilities.

    Args:
        probabilities: (..., emotions), calibrated for familiar recordings.
        strange: (...) of `strangeness`.
        averages_say: (..., emotions) of `averages.logits`; without them the order stays.
    """
    strange = np.asarray(strange, np.float64)[..., np.newaxis]
    weights = probabilities ** (TEMPERATURE**-strange)
    weights = weights * np.exp(AVERAGES_SHARE * strange * averages_say)
    return weights / weights.sum(axis=-1, keepdims=True)


def _distances(cepstral_means: np.ndarray, corpus: dict[str, Any]) -> np.ndarray:
    differences = (cepstral_means - corpus["mean"]) @ np.asarray(corpus["whitening"])
    return np.mean(np.square(differences), axis=-1)
