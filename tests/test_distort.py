"""Changes of features: what they are for, and that they leave features consistent."""

import numpy as np
import pytest
import scipy.signal
import soxr
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st

import distort
import features
from audio import SAMPLE_RATE
from features import MEL, N_MFCC


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return features.decibel(features.extract_frames(speechlike(2.0)))


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), length=st.integers(1, 80))
def test_a_variant_is_finite_seeded_and_leaves_the_clip_alone(clip, seed, length) -> None:
    part = clip[:length]
    before = part.copy()
    variant = distort.distort(part, np.random.default_rng(seed))
    np.testing.assert_array_equal(part, before)
    assert variant.dtype == np.float32
    assert np.isfinite(variant).all()
    assert len(variant) == pytest.approx(length, rel=0.15, abs=9)
    again = distort.distort(part, np.random.default_rng(seed))
    np.testing.assert_array_equal(variant, again)
    assert not np.array_equal(distort.distort(part, np.random.default_rng(seed + 1)), variant)


def test_mfcc_and_deltas_follow_the_mel_bands(clip) -> None:
    for seed in range(20):
        variant = distort.distort(clip, np.random.default_rng(seed))
        # A gain after the floor of 80 dB moves the first coefficient, and no other.
        mfcc = features.mel_to_mfcc(variant[:, MEL])
        np.testing.assert_allclose(variant[:, :N_MFCC], mfcc, atol=1e-2)
        deltas = features.deltas(variant[:, :N_MFCC])
        np.testing.assert_allclose(variant[:, N_MFCC : 3 * N_MFCC], deltas, atol=1e-3)


def test_nothing_but_the_gain_is_a_gain(clip, monkeypatch) -> None:
    monkeypatch.setattr(distort, "SHARE", 0.0)
    monkeypatch.setattr(distort, "NOISE_SHARE", 0.0)
    monkeypatch.setattr(distort, "LOWPASS_SHARE", 0.0)
    monkeypatch.setattr(distort, "GAIN_DB", 0.0)
    np.testing.assert_allclose(distort.distort(clip, np.random.default_rng(0)), clip, atol=2e-3)
    loud = features.extract_frames(2 * speechlike(2.0))
    difference = features.decibel(loud) - clip
    expected = distort._LOUDER * 20 * np.log10(2)
    np.testing.assert_allclose(np.median(difference, axis=0), expected, atol=1e-2)


def test_a_shorter_tract_raises_a_tone_and_its_note() -> None:
    def frames(frequency: float) -> np.ndarray:
        time = np.arange(22050) / 22050
        tone = sum(np.sin(2 * np.pi * k * frequency * time) / k for k in range(1, 6))
        return features.decibel(features.extract_frames((0.1 * tone).astype(np.float32)))

    moved = frames(1000.0)
    factor = 1.1

    class Fixed:
        def uniform(self, low: float, high: float) -> float:
            return -np.log(factor)

    distort._change_tract(moved, Fixed())
    wanted = frames(1000.0 * factor)
    middle = len(moved) // 2
    for columns in (MEL, distort.CHROMA):
        assert np.argmax(moved[middle, columns]) == pytest.approx(
            np.argmax(wanted[middle, columns]), abs=1
        )
    centroid = moved[middle, distort.CENTROID]
    assert centroid == pytest.approx(wanted[middle, distort.CENTROID], rel=0.05)


def test_what_is_cut_off_is_like_what_a_low_sampling_rate_does_not_keep(monkeypatch) -> None:
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    # As in speech, the lows are the loudest.
    waveform = 0.1 * scipy.signal.lfilter([1.0], [1.0, -0.9], noise).astype(np.float32)
    kept = soxr.resample(soxr.resample(waveform, SAMPLE_RATE, 8000), 8000, SAMPLE_RATE)
    wanted = features.decibel(features.extract_frames(kept)).mean(axis=0)

    for share in ("SHARE", "NOISE_SHARE"):
        monkeypatch.setattr(distort, share, 0.0)
    monkeypatch.setattr(distort, "LOWPASS_SHARE", 1.0)
    monkeypatch.setattr(distort, "LOWPASS_HZ", (4000.0, 4000.0))
    monkeypatch.setattr(distort, "LOWPASS_DB", (400.0, 400.0))
    monkeypatch.setattr(distort, "GAIN_DB", 0.0)
    whole = features.decibel(features.extract_frames(waveform))
    moved = distort.distort(whole, np.random.default_rng(0)).mean(axis=0)
    for column in (distort.CENTROID, distort.BANDWIDTH, distort.CROSSINGS):
        # Crossings follow the centroid only about.
        assert moved[column] == pytest.approx(wanted[column], rel=0.25)
        assert moved[column] < 0.75 * whole.mean(axis=0)[column]
    highest = features.mel_frequencies()[1:-1]
    assert moved[MEL][highest > 4500].max() < moved[MEL].max() - 60
    below = highest < 3500
    np.testing.assert_allclose(moved[MEL][below], wanted[MEL][below], atol=0.5)


def test_noise_fills_the_gaps_and_hardly_the_voice(clip, monkeypatch) -> None:
    monkeypatch.setattr(distort, "NOISE_DB", (20.0, 20.0))
    noisy = distort._add_noise(clip[:, MEL], np.random.default_rng(0))
    quiet = clip[:, MEL] < clip[:, MEL].max() - 60
    assert np.median(noisy[quiet] - clip[:, MEL][quiet]) > 3
    loud = clip[:, MEL] > clip[:, MEL].max() - 10
    assert np.abs(noisy[loud] - clip[:, MEL][loud]).max() < 2
    assert (noisy >= clip[:, MEL] - 1e-3).all()


def test_masks_are_stretches_of_zeros_and_the_rest_stays() -> None:
    masked = 0
    for seed in range(30):
        crop = np.ones((60, 264), np.float32)
        distort.mask(crop, np.random.default_rng(seed))
        assert set(np.unique(crop)) <= {0.0, 1.0}
        gone = crop == 0
        assert gone.mean() < 0.7
        masked += gone.any()
    assert 15 < masked < 30
    short = np.ones((1, 264), np.float32)
    distort.mask(short, np.random.default_rng(0))
    assert short.shape == (1, 264)
