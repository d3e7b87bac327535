"""The 264 numbers are librosa's own, whatever path computes them."""

import itertools
import warnings

import librosa
import numpy as np
import pytest
import soundfile
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st

import features
from audio import SAMPLE_RATE, AudioError

# Relative to the largest value of each kind of feature in the clip.
TOLERANCE = 1e-3


def librosa_one_by_one(waveform: np.ndarray) -> np.ndarray:
    """The definition: each librosa function called on the waveform, with its own STFT."""
    sr, n_fft, hop = 22050, 2048, 512
    mfcc = librosa.feature.mfcc(y=waveform, sr=sr, n_mfcc=40, n_fft=n_fft, hop_length=hop)
    stft = np.abs(librosa.stft(waveform, n_fft=n_fft, hop_length=hop))
    rows = [
        mfcc,
        librosa.feature.delta(mfcc),
        librosa.feature.delta(mfcc, order=2),
        librosa.feature.chroma_stft(S=stft, sr=sr, n_fft=n_fft, hop_length=hop),
        librosa.feature.melspectrogram(y=waveform, sr=sr, n_fft=n_fft, hop_length=hop),
        librosa.feature.spectral_centroid(y=waveform, sr=sr, n_fft=n_fft, hop_length=hop),
        librosa.feature.spectral_bandwidth(y=waveform, sr=sr, n_fft=n_fft, hop_length=hop),
        librosa.feature.zero_crossing_rate(waveform, frame_length=n_fft, hop_length=hop),
        librosa.feature.rms(y=waveform, frame_length=n_fft, hop_length=hop),
    ]
    return np.concatenate(rows).T


def assert_golden(waveform: np.ndarray) -> None:
    found = features.extract_frames(waveform)
    expected = librosa_one_by_one(waveform)
    assert found.shape == expected.shape == (1 + len(waveform) // 512, 264)
    assert found.dtype == np.float32
    starts = [0, 40, 80, 120, 132, 260, 261, 262, 263, 264]
    for start, stop in itertools.pairwise(starts):
        scale = np.abs(expected[:, start:stop]).max()
        difference = np.abs(found[:, start:stop] - expected[:, start:stop]).max()
        # The deltas of silence are rounding errors of its MFCC, -1131.
        rounding = 1e-6 * np.abs(expected[:, :40]).max() if 40 <= start < 120 else 0
        assert difference <= TOLERANCE * scale + rounding, features.FEATURE_NAMES[start]


def seconds(count: float) -> np.ndarray:
    return np.arange(round(count * SAMPLE_RATE)) / SAMPLE_RATE


SOUNDS = {
    "silence": np.zeros(SAMPLE_RATE),
    "click": np.eye(1, SAMPLE_RATE, 9000)[0],
    "tone": 0.5 * np.sin(2 * np.pi * 440 * seconds(1)),
    "detuned tone": 0.5 * np.sin(2 * np.pi * 452 * seconds(1)),
    "chirp": 0.3 * np.sin(2 * np.pi * (200 + 2000 * seconds(1)) * seconds(1)),
    "white noise": 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE),
    "full scale": np.sign(np.sin(2 * np.pi * 200 * seconds(1))),
    "offset": np.full(SAMPLE_RATE, 0.3),
    "speechlike": speechlike(2.0),
    "faint": 1e-5 * speechlike(1.0),
    "nine frames": speechlike(1.0)[: features.MIN_SAMPLES],
}


# librosa's warning about silence, in the definition that ours is compared with.
@pytest.mark.filterwarnings("ignore:Trying to estimate tuning")
@pytest.mark.parametrize("name", SOUNDS)
def test_synthetic_sounds_equal_librosa(name: str) -> None:
    assert_golden(SOUNDS[name].astype(np.float32))


def test_real_clips_equal_librosa(shared_data) -> None:
    clips = sorted((shared_data / "ravdess").rglob("*.flac"))[::200]
    assert len(clips) > 10
    for clip in clips:
        waveform, rate = soundfile.read(clip, dtype="float32")
        assert rate == SAMPLE_RATE
        assert_golden(waveform)


def test_names_follow_the_columns() -> None:
    names = features.FEATURE_NAMES
    assert len(names) == len(set(names)) == 264
    assert names[features.MEL][0] == "mel_0"
    assert names[features.MEL][-1] == "mel_127"
    assert names[features.RMS] == "rms"
    covered = [i for group in features.FEATURE_GROUPS for i in range(264)[group]]
    assert covered == list(range(264))
    tone = SOUNDS["tone"].astype(np.float32)
    frame = features.extract_frames(tone)[20]
    assert np.argmax(frame[120:132]) == 9  # an A
    assert frame[names.index("rms")] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert frame[names.index("spectral_centroid")] == pytest.approx(440, rel=0.02)
    assert frame[names.index("zero_crossing_rate")] == pytest.approx(880 / SAMPLE_RATE, rel=0.05)


@pytest.mark.parametrize("name", ["detuned tone", "chirp", "white noise", "speechlike"])
def test_the_tuning_is_librosas_to_the_last_bit(name: str) -> None:
    spectra = features.analyse(SOUNDS[name].astype(np.float32))
    expected = librosa.estimate_tuning(S=spectra.magnitude.T, sr=SAMPLE_RATE, n_fft=2048)
    assert features._tuning(spectra.peaks) == expected


def test_the_mel_scale_is_slaneys() -> None:
    expected = librosa.mel_frequencies(n_mels=130, fmin=0, fmax=SAMPLE_RATE / 2, htk=False)
    np.testing.assert_allclose(features.mel_frequencies(), expected, rtol=1e-9)


def test_the_vector_is_the_mean_of_the_frames() -> None:
    waveform = speechlike(1.5)
    vector = features.extract_vector(waveform)
    assert vector.shape == (264,)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(
        vector, features.extract_frames(waveform).astype(float).mean(axis=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("samples", [1, 100, features.MIN_SAMPLES - 1])
def test_a_short_waveform_is_continued_with_silence_and_said(samples: int) -> None:
    waveform = speechlike(1.0)[:samples]
    with pytest.warns(features.ShortWaveformWarning, match=f"has {samples} samples"):
        found = features.extract_frames(waveform)
    padded = np.pad(waveform, (0, features.MIN_SAMPLES - samples))
    np.testing.assert_array_equal(found, features.extract_frames(padded))


def test_a_waveform_just_long_enough_is_not_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(features.extract_frames(speechlike(1.0)[: features.MIN_SAMPLES])) == 9


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 5000), np.float32), r"shape \(2, 5000\)"),
        (np.zeros(5000, np.int16), "int16"),
        (np.zeros(0, np.float32), "at least one sample"),
        (np.full(5000, np.nan, np.float32), "NaN"),
        (np.full(5000, np.inf, np.float32), "infinity"),
    ],
)
def test_what_is_no_waveform_is_refused_in_words(bad: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        features.extract_frames(bad)


@settings(max_examples=20)
@given(st.integers(features.MIN_SAMPLES, 3 * SAMPLE_RATE), st.floats(1e-4, 1.0), st.integers(0, 99))
def test_any_waveform_gives_finite_frames(samples: int, peak: float, seed: int) -> None:
    waveform = np.random.default_rng(seed).uniform(-peak, peak, samples).astype(np.float32)
    before = waveform.copy()
    frames = features.extract_frames(waveform)
    assert frames.shape == (1 + samples // features.HOP_LENGTH, 264)
    assert np.isfinite(frames).all()
    np.testing.assert_array_equal(waveform, before)


def test_trimming_cuts_the_silence_around_a_sound_and_nothing_within() -> None:
    sound = speechlike(1.0)
    quiet = 1e-5 * np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    frames = features.extract_frames(np.concatenate([quiet, sound, quiet, sound, quiet]))
    trimmed = features.trim_silence(frames)
    assert 3 * SAMPLE_RATE / 512 < len(trimmed) < 3.4 * SAMPLE_RATE / 512
    start = next(i for i in range(len(frames)) if np.array_equal(frames[i], trimmed[0]))
    np.testing.assert_array_equal(trimmed, frames[start : start + len(trimmed)])


def test_trimming_keeps_something_of_silence() -> None:
    frames = features.extract_frames(np.zeros(SAMPLE_RATE, np.float32))
    np.testing.assert_array_equal(features.trim_silence(frames), frames)


def test_the_vector_of_a_sound_is_the_same_however_long_its_pauses_are() -> None:
    sound = speechlike(1.0)
    frames = features.extract_frames(sound)
    pause = np.repeat(frames[:1] / 1e3, 40, axis=0)
    with_pauses = np.concatenate([pause, frames[:20], pause, frames[20:], pause])
    alone = features.vector_of_sound(frames)
    np.testing.assert_array_equal(features.vector_of_sound(with_pauses), alone)
    assert np.abs(features.mean_vector(with_pauses) - alone).max() > 1
    everything = features.vector_of_sound(with_pauses, np.inf)
    np.testing.assert_array_equal(everything, features.mean_vector(with_pauses))


@pytest.mark.parametrize(("softer_db", "is_pause"), [(29, False), (31, True)])
def test_a_pause_is_30_db_softer_than_the_loudest_frame(softer_db, is_pause) -> None:
    frames = np.ones((2, 264), np.float32)
    frames[1] *= 10 ** (-softer_db / 20)
    expected = frames[0] if is_pause else frames.mean(axis=0)
    np.testing.assert_allclose(features.vector_of_sound(frames), expected, rtol=1e-6)


@given(st.integers(0, 1000), st.floats(-35, 0))
def test_decibel_and_linear_undo_each_other_and_a_gain_is_a_shift(seed: int, gain: float) -> None:
    frames = np.random.default_rng(seed).uniform(1e-3, 1, (3, 264)).astype(np.float32)
    before = frames.copy()
    there = features.decibel(frames)
    np.testing.assert_array_equal(frames, before)
    np.testing.assert_allclose(features.linear(there), frames, rtol=1e-4)
    softer = frames.copy()
    softer[:, features.MEL] *= 10 ** (gain / 10)
    softer[:, features.RMS] *= 10 ** (gain / 20)
    expected = np.zeros(264)
    expected[features.MEL] = expected[features.RMS] = gain
    np.testing.assert_allclose(
        features.decibel(softer) - there, expected[None] + 0 * there, atol=1e-3
    )


def test_decibel_has_the_floor_of_the_mfcc() -> None:
    silence = features.decibel(np.zeros((1, 264), np.float32))
    np.testing.assert_allclose(silence[0, features.MEL], -100, rtol=1e-6)
    assert silence[0, features.RMS] == pytest.approx(-100)


def test_silence_is_what_is_40_db_softer_but_for_two_frames_beside_the_sound() -> None:
    frames = np.full((20, 264), 1e-6, np.float32)
    frames[8:12] = 1
    assert len(features.trim_silence(frames)) == 8
    frames[:] = 1
    frames[:8] *= 10 ** (-41 / 20)
    assert len(features.trim_silence(frames)) == 14
    frames[:8] *= 10 ** (2 / 20)
    assert len(features.trim_silence(frames)) == 20
