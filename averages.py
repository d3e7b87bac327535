"""What a recording's averages alone tell of its emotion: a linear model beside the network.

Where a recording is unlike those of the training, much of what a network has learned to tell apart
by many layers no longer holds. A linear model of the averages over time, regularised until little
but the strongest tendencies is left, knows far less of new voices at home, but part of it holds
elsewhere, and it errs otherwise than the network: together they are right more often there than
either (docs/experiments.md). `familiarity.doubt` puts them together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Averages stop at so many standard deviations from what is usual, as the network's features do.
LIMIT = 2.0

#: Of the squared weights, against the mean cross-entropy.
_PENALTY = 3.0

_MIN_STD = 1e-3  # of what never changes
_MASKED = -1e4  # logit of an emotion that nobody was asked for


def fit(averages: np.ndarray, targets: np.ndarray, corpus: Sequence[str]) -> dict[str, Any]:
    """Return a multinomial logistic regression in the form that a manifest keeps.

    It learns how clips differ within their corpus: what corpora differ in is their microphones. As
    in the training of the network, a corpus counts in proportion to the square root of its clips,
    and is asked about the emotions that it knows alone.

    Args:
        averages: (clips, 264) of `features.averages`.
        targets: (clips, emotions) of `training.label_targets`.
        corpus: (clips,) its name.

    Returns:
        `mean`, `std`: (264,) of the averages; `weights`: (264, emotions); `bias`: (emotions,).
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    number, share = corpus_shares(corpus)
    means = np.array([averages[number == one].mean(axis=0) for one in range(number.max() + 1)])
    apart = averages - means[number]
    std = np.maximum(np.sqrt(share @ np.square(apart)), _MIN_STD)
    inputs = np.clip(apart / std, -LIMIT, LIMIT)
    said = np.maximum(targets, 0)
    masked = np.where((targets < 0) | ~np.any(targets > 0, axis=0), _MASKED, 0.0)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        layer = flat.reshape(-1, targets.shape[1])
        weights, bias = layer[:-1], layer[-1]
        logs = log_softmax(inputs @ weights + bias + masked, axis=1)
        error = (np.exp(logs) - said) * share[:, np.newaxis]
        value = -share @ np.sum(said * logs, axis=1) + _PENALTY / 2 * np.sum(np.square(weights))
        slope = np.vstack([inputs.T @ error + _PENALTY * weights, error.sum(axis=0)])
        return value, slope.ravel()

    start = np.zeros((averages.shape[1] + 1) * targets.shape[1])
    layer = minimize(loss, start, jac=True, method="L-BFGS-B").x.reshape(-1, targets.shape[1])
    found = {"mean": share @ means[number], "std": std, "weights": layer[:-1], "bias": layer[-1]}
    # Rounded to what is far below the difference of any two clips.
    return {name: value.round(6).tolist() for name, value in found.items()}


def corpus_shares(corpus: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return for each clip the number of its corpus, and its part of all that clips say: (clips,).

    A corpus counts in proportion to the square root of its clips.
    """
    _, number, clips = np.unique(corpus, return_inverse=True, return_counts=True)
    share = 1 / np.sqrt(clips)[number]
    return number, share / share.sum()


def logits(averages: np.ndarray, model: Mapping[str, Any]) -> np.ndarray:
    """Return what a model of `fit` says of recordings: (..., emotions).

    Args:
        averages: (..., 264) of `features.averages`.
        model: of `fit`.
    """
    inputs = np.clip(
        (averages - np.asarray(model["mean"])) / np.asarray(model["std"]), -LIMIT, LIMIT
    )
    return inputs @ np.asarray(model["weights"]) + np.asarray(model["bias"])
