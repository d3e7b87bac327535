"""Windows of a long recording: the same features as by librosa, in memory that does not grow."""

import itertools
import tracemalloc

import librosa
import numpy as np
import pytest
import soundfile
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st

import features
import windows
from audio import SAMPLE_RATE

HALF = features.N_FFT // 2
SECONDS = 8
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
RECORDINGS = {
    "silence": np.zeros(len(TIME)),
    "clicks": (np.arange(len(TIME)) % 20_000 == 0) * 0.9,
    "tone": 0.5 * np.sin(2 * np.pi * 452 * TIME),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(len(TIME)),
    "speechlike": speechlike(SECONDS),
    "speech after silence": np.concatenate([np.zeros(len(TIME) // 2), speechlike(SECONDS / 2)]),
    "ends below zero": -np.abs(speechlike(SECONDS)),
}


def by_librosa(recording: np.ndarray, start: int, end: int) -> np.ndarray:
    """The definition: librosa on the frames of a recording that are centred in a window."""
    sr, n_fft, hop = 22050, 2048, 512
    first, last = -(-start // hop), end // hop
    seen = np.pad(recording, HALF)[first * hop : last * hop + n_fft]
    # Of a sign, what lies before and after a recording is as its first and last sample.
    signs = np.pad(recording, HALF, mode="edge")[first * hop : last * hop + n_fft]
    options = {"frame_length": n_fft, "hop_length": hop, "center": False}
    stft = np.abs(librosa.stft(seen, n_fft=n_fft, hop_length=hop, center=False))
    mel = librosa.feature.melspectrogram(S=stft**2, sr=sr)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=40)
    rows = [
        mfcc,
        librosa.feature.delta(mfcc),
        librosa.feature.delta(mfcc, order=2),
        librosa.feature.chroma_stft(S=stft, sr=sr, n_fft=n_fft, hop_length=hop),
        mel,
        librosa.feature.spectral_centroid(S=stft, sr=sr),
        librosa.feature.spectral_bandwidth(S=stft, sr=sr),
        librosa.feature.zero_crossing_rate(signs, **options),
        librosa.feature.rms(y=seen, **options),
    ]
    return np.concatenate(rows).T


def assert_as_by_librosa(recording: np.ndarray) -> None:
    for start, waveform, spectra in windows.cut([recording]):
        found = features.combine(spectra)
        expected = by_librosa(recording, start, start + len(waveform))
        assert found.shape == expected.shape
        for group in features.FEATURE_GROUPS[:-1] + tuple(slice(i, i + 1) for i in range(260, 264)):
            scale = np.abs(expected[:, group]).max()
            # The deltas of silence are rounding errors of its MFCC, -1131.
            rounding = 1e-6 * np.abs(expected[:, :40]).max()
            difference = np.abs(found[:, group] - expected[:, group]).max()
            assert difference <= 1e-3 * scale + rounding, features.FEATURE_NAMES[group.start]


# librosa's warning about silence, in the definition that ours is compared with.
@pytest.mark.filterwarnings("ignore:Trying to estimate tuning")
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_window_has_the_features_of_the_recording_there(name) -> None:
    assert_as_by_librosa(RECORDINGS[name].astype(np.float32))


def test_windows_of_real_speech_have_the_features_of_the_recording_there(shared_data) -> None:
    clips = sorted((shared_data / "ravdess").rglob("*.flac"))[::500]
    assert len(clips) > 3
    recording = np.concatenate([soundfile.read(clip, dtype="float32")[0] for clip in clips])
    assert_as_by_librosa(recording)


def test_a_recording_of_one_window_has_the_features_of_a_clip() -> None:
    for seconds in (0.2, 1.0, 3.0):
        clip = speechlike(seconds)
        ((start, waveform, spectra),) = windows.cut([clip])
        assert start == 0
        np.testing.assert_array_equal(waveform, clip)
        np.testing.assert_array_equal(features.combine(spectra), features.extract_frames(clip))


@settings(max_examples=30)
@given(st.integers(1, 12 * SAMPLE_RATE), st.lists(st.integers(0, 12 * SAMPLE_RATE), max_size=6))
def test_how_a_recording_comes_does_not_matter(samples, cuts) -> None:
    recording = np.random.default_rng(samples).uniform(-0.5, 0.5, samples).astype(np.float32)
    whole = list(windows.cut([recording]))
    in_pieces = list(windows.cut(np.split(recording, sorted(min(cut, samples) for cut in cuts))))

    starts = [window.start for window in whole]
    assert starts == [*range(0, samples - windows.SAMPLES, windows.HOP), starts[-1]]
    assert starts[-1] == max(0, samples - windows.SAMPLES)
    for one, other in zip(whole, in_pieces, strict=True):
        assert one.start == other.start
        np.testing.assert_array_equal(one.waveform, other.waveform)
        np.testing.assert_array_equal(
            one.waveform, recording[one.start : one.start + windows.SAMPLES]
        )
        for array, same in zip(one.spectra[:3], other.spectra[:3], strict=True):
            assert array.shape == same.shape
            np.testing.assert_allclose(array, same, rtol=1e-5, atol=1e-5 * np.abs(same).max())


def test_nothing_has_no_windows() -> None:
    assert list(windows.cut([])) == []


def test_memory_does_not_grow_with_the_recording() -> None:
    piece = speechlike(10)

    def peak(minutes: int) -> int:
        tracemalloc.start()
        for _ in windows.cut(itertools.repeat(piece, 6 * minutes)):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # makes the tables
    assert peak(4) < 1.1 * peak(1)
