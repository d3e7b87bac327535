"""A linear model of averages: regularised, fair to corpora, and asked what they know."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

import averages


def draw(clips: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return averages and one-hot targets of three emotions, of which the numbers tell a little."""
    rng = np.random.default_rng(seed)
    emotion = rng.integers(3, size=clips)
    means = rng.normal(0, 2, (clips, 264)) + 50.0
    means[np.arange(clips), emotion] += 3.0
    return means, np.eye(3, dtype=np.float32)[emotion]


def test_it_is_logistic_regression() -> None:
    means, targets = draw(300)
    model = averages.fit(means, targets, ["one"] * 300)
    inputs = np.clip((means - means.mean(axis=0)) / means.std(axis=0), -2, 2)
    # There the errors are summed, here is their mean.
    expected = LogisticRegression(C=1 / 900, tol=1e-8).fit(inputs, targets.argmax(axis=1))
    said = softmax(averages.logits(means, model), axis=1)
    np.testing.assert_allclose(said, expected.predict_proba(inputs), atol=2e-3)
    others, unheard = draw(300, seed=1)
    right = averages.logits(others, model).argmax(axis=1) == unheard.argmax(axis=1)
    assert np.mean(right) > 0.45


def test_what_corpora_differ_in_is_not_learned() -> None:
    means, targets = draw(120)
    corpus = np.repeat(["one", "other"], 60)
    model = averages.fit(means, targets, corpus)
    louder = means + np.where(corpus == "one", 30.0, 0.0)[:, np.newaxis]
    found = averages.fit(louder, targets, corpus)
    np.testing.assert_allclose(found.pop("mean"), np.array(model["mean"]) + 15.0, atol=1e-5)
    for name, numbers in found.items():
        np.testing.assert_allclose(numbers, model[name], atol=1e-5)


def test_a_large_corpus_does_not_drown_a_small_one() -> None:
    means, targets = draw(100)
    means[:10] += 40.0
    small, large = means[:10].mean(axis=0), means[10:].mean(axis=0)
    found = averages.fit(means, targets, ["small"] * 10 + ["large"] * 90)["mean"]
    np.testing.assert_allclose(found, (small + 3 * large) / 4, atol=1e-5)


def test_nothing_is_said_of_an_emotion_that_nobody_was_asked_for() -> None:
    means, targets = draw(100)
    unheard = np.concatenate([targets, np.zeros((100, 1))], axis=1)
    model = averages.fit(means, unheard, ["one"] * 100)
    np.testing.assert_array_equal(averages.logits(means, model)[:, 3], 0.0)
    without = averages.logits(means, averages.fit(means, targets, ["one"] * 100))
    np.testing.assert_allclose(averages.logits(means, model)[:, :3], without, atol=1e-4)


def test_a_corpus_says_nothing_of_an_emotion_that_it_does_not_know() -> None:
    means, targets = draw(200)
    corpus = np.repeat(["knows", "does not"], 100)
    means[100:] += 40.0  # of another microphone
    targets[100:] = targets[100:] @ np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    asked = averages.logits(means[100:], averages.fit(means, targets, corpus))
    targets[100:, 2] = -1
    left_open = averages.logits(means[100:], averages.fit(means, targets, corpus))

    def third(logits: np.ndarray) -> float:
        return softmax(logits, axis=1)[:, 2].mean()

    assert third(asked) < third(left_open)


@pytest.mark.parametrize("change", [1e4, -1e4])
def test_what_never_changed_or_is_far_off_does_not_outweigh_the_rest(change) -> None:
    means, targets = draw(60)
    means[:, 9] = 7.0
    model = averages.fit(means, targets, ["one"] * 60)
    asked = means[:1].copy()
    asked[0, 9] += change
    apart = averages.logits(asked, model) - averages.logits(means[:1], model)
    assert np.abs(apart).max() < 0.1
    assert averages.logits(means, model).shape == (60, 3)
    alone = averages.logits(means[0], model)
    np.testing.assert_allclose(alone, averages.logits(means, model)[0])
