"""Changes of features: a gain is that of the waveform, masks are stretches of zeros."""

import numpy as np
import pytest
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st

import distort
import features


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return features.decibel(features.extract_frames(speechlike(2.0)))


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 80))
def test_a_gain_is_seeded_and_leaves_the_clip_alone(clip, seed, length) -> None:
    part = clip[:length]
    before = part.copy()
    variant = distort.amplify(part, np.random.default_rng(seed))
    np.testing.assert_array_equal(part, before)
    assert variant.dtype == np.float32
    again = distort.amplify(part, np.random.default_rng(seed))
    np.testing.assert_array_equal(variant, again)
    assert not np.array_equal(distort.amplify(part, np.random.default_rng(seed + 1)), variant)


def test_a_gain_is_that_of_the_waveform(clip) -> None:
    class Fixed:
        def uniform(self, low: float, high: float) -> float:
            assert -low == high == distort.GAIN_DB
            return 20 * np.log10(2)

    loud = features.decibel(features.extract_frames(2 * speechlike(2.0)))
    found = distort.amplify(clip, Fixed())
    np.testing.assert_allclose(np.median(found - loud, axis=0), 0, atol=1e-2)


def test_masks_are_stretches_of_zeros_and_the_rest_stays() -> None:
    masked = 0
    for seed in range(30):
        crop = np.ones((60, 270), np.float32)
        distort.mask(crop, np.random.default_rng(seed))
        assert set(np.unique(crop)) <= {0.0, 1.0}
        gone = crop == 0
        assert gone.mean() < 0.7
        masked += gone.any()
    assert 15 < masked < 30
    short = np.ones((1, 270), np.float32)
    distort.mask(short, np.random.default_rng(0))
    assert short.shape == (1, 270)
