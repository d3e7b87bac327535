"""Pitch: that of tones and voices at any level, none in noise, and nothing from padding."""

import keras
import numpy as np
import pytest
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st

import features
import pitch
from audio import SAMPLE_RATE

VOICED, HEIGHT, OVER_MEAN, RISE, LONG_RISE, CLARITY = range(pitch.N_PITCH)


def heard(waveform: np.ndarray, *, padding: int = 0) -> np.ndarray:
    """Return the contour of a waveform: (frames, 6)."""
    mel = features.decibel(features.extract_frames(waveform.astype(np.float32)))[:, features.MEL]
    is_frame = np.ones((1, len(mel), 1), np.float32)
    around = [(0, 0), (0, padding), (0, 0)]
    return np.asarray(pitch.contour(np.pad(mel[np.newaxis], around), np.pad(is_frame, around)))[0]


def harmonics(hertz: np.ndarray) -> np.ndarray:
    """Return a sound of that pitch at each sample, its harmonics weaker by 6 dB an octave."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    return 0.1 * sum(np.sin(n * phase) / n for n in range(1, 30))


@settings(max_examples=20, deadline=None)
@given(hertz=st.floats(90, 350), gain_db=st.floats(-40, 15))
def test_a_steady_pitch_is_heard_at_any_level(hertz, gain_db) -> None:
    sound = 10 ** (gain_db / 20) * harmonics(np.full(SAMPLE_RATE, hertz))
    sound += 1e-6 * np.random.default_rng(0).standard_normal(len(sound))
    middle = heard(sound)[5:-5]
    octaves = middle[:, HEIGHT] * 0.6 + 7.6
    assert octaves == pytest.approx(np.log2(hertz), abs=1 / 6)
    assert (middle[:, VOICED] > 0.8).all()
    assert (middle[:, CLARITY] > 0).all()
    assert np.abs(middle[:, [OVER_MEAN, RISE, LONG_RISE]]).max() < 0.5


def test_a_rising_pitch_rises_and_goes_from_under_to_over_its_mean() -> None:
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    up = heard(harmonics(150 * 2 ** (0.8 * seconds)))[5:-5]
    assert np.median(up[:, RISE]) == pytest.approx(0.8 * 4 * 512 / SAMPLE_RATE / 0.12, rel=0.2)
    down = heard(harmonics(150 * 2 ** (0.8 * seconds[::-1])))[5:-5]
    assert np.median(down[:, RISE]) == pytest.approx(-np.median(up[:, RISE]), rel=0.2)
    assert up[0, OVER_MEAN] < -1 < 1 < up[-1, OVER_MEAN]


def test_noise_has_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    contour = heard(noise)
    assert contour[:, VOICED].mean() < -0.8
    assert np.abs(contour[:, [HEIGHT, OVER_MEAN, RISE, LONG_RISE]]).mean() < 0.1


def test_padding_is_nothing_and_changes_nothing() -> None:
    sound = speechlike(1.0)
    alone, padded = heard(sound), heard(sound, padding=20)
    np.testing.assert_allclose(padded[: len(alone)], alone, atol=1e-5)
    assert not padded[len(alone) :].any()
    assert np.abs(alone).max() <= 2


def test_a_saved_contour_loads_in_safe_mode(tmp_path) -> None:
    mel, is_frame = keras.Input((None, 128)), keras.Input((None, 1))
    model = keras.Model([mel, is_frame], pitch.contour(mel, is_frame))
    model.save(tmp_path / "pitch.keras")
    loaded = keras.saving.load_model(tmp_path / "pitch.keras", safe_mode=True)
    given = [np.random.default_rng(0).normal(-40, 9, (2, 9, 128)).astype("f4"), np.ones((2, 9, 1))]
    np.testing.assert_array_equal(np.asarray(loaded(given)), np.asarray(model(given)))
