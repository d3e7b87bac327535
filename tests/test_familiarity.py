"""Recordings from elsewhere are found, and their probabilities are believed less."""

import numpy as np
import pytest
from conftest import speechlike
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from scipy.fft import dct
from scipy.special import softmax

import familiarity
import features

#: What is drawn is correlated, as the numbers of recordings are.
MIX = np.random.default_rng(9).normal(size=(40, 40))


def draw(clips: int, *, seed: int, mean: float = 0.0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(0, 3, (clips, 40)) @ MIX


def test_the_cepstral_mean_is_the_dct_of_the_mean_spectrum() -> None:
    frames = features.extract_frames(speechlike(1.0))
    averages = features.averages(frames)
    expected = dct(averages[features.MEL].astype(np.float64), norm="ortho")[:40]
    np.testing.assert_allclose(features.cepstral_mean(averages), expected, atol=1e-3)
    np.testing.assert_allclose(features.cepstral_mean(averages[np.newaxis])[0], expected, atol=1e-3)


def test_new_clips_of_a_corpus_are_familiar_and_others_are_strange() -> None:
    corpora = [
        familiarity.describe(draw(2000, seed=0)),
        familiarity.describe(draw(2000, seed=1, mean=50.0)),
    ]
    for mean in (0.0, 50.0):
        assert np.mean(familiarity.strangeness(draw(400, seed=2, mean=mean), corpora) > 0.2) < 0.02
    assert np.all(familiarity.strangeness(draw(400, seed=3, mean=25.0), corpora) == 1)


def test_strangeness_grows_from_the_farthest_clips_to_twice_as_far() -> None:
    corpus = {"mean": [0.0] * 40, "whitening": np.eye(40).tolist(), "far": 2.0}
    distances = np.array([0.0, 2.0, 2.0 * 2**0.5, 4.0, 1e6])
    means = np.sqrt(distances)[:, np.newaxis] * np.ones(40)
    assert familiarity.strangeness(means, [corpus]) == pytest.approx([0, 0, 0.5, 1, 1])


def test_one_in_a_hundred_of_a_corpus_own_clips_is_far() -> None:
    clips = draw(1000, seed=0)
    assert np.sum(familiarity.strangeness(clips, [familiarity.describe(clips)]) > 0) == 10


def test_a_corpus_of_one_clip_is_described() -> None:
    clip = draw(1, seed=0)
    corpus = familiarity.describe(clip)
    assert familiarity.strangeness(clip, [corpus]) == 0
    assert familiarity.strangeness(clip + 1, [corpus]) == 1


logits = arrays(np.float64, (3, 8), elements=some.floats(-20, 20))


@given(logits, some.floats(0, 1))
def test_doubt_is_a_higher_temperature(logits, strange) -> None:
    said = softmax(logits, axis=1)
    expected = softmax(logits / familiarity.TEMPERATURE**strange, axis=1)
    np.testing.assert_allclose(familiarity.doubt(said, strange), expected, atol=1e-9)
    np.testing.assert_allclose(familiarity.doubt(said, np.full(3, strange)), expected, atol=1e-9)


@given(logits, logits, some.floats(0, 1))
def test_averages_have_a_say_as_far_as_a_recording_is_strange(
    logits, averages_say, strange
) -> None:
    said = softmax(logits, axis=1)
    both = logits / familiarity.TEMPERATURE**strange
    both += familiarity.AVERAGES_SHARE * strange * averages_say
    found = familiarity.doubt(said, strange, averages_say)
    np.testing.assert_allclose(found, softmax(both, axis=1), atol=1e-9)
    np.testing.assert_allclose(familiarity.doubt(said, 0.0, averages_say), said, atol=1e-9)
