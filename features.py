"""Waveform → the 264 numbers of a frame, and their mean, the vector of the original system.

Every number is one that a librosa 0.11 function gives; the parameters below are the definition.
The functions are handed one shared STFT instead of computing one each, which changes no value
(`tests/test_features.py` holds this module to librosa's functions called one by one).
"""

import warnings

import numpy as np

from audio import SAMPLE_RATE, AudioError

N_FFT = 2048  # samples per frame: 93 ms
HOP_LENGTH = 512  # samples between frames: 23 ms
N_MFCC = 40
N_CHROMA = 12
N_MELS = 128
DELTA_WIDTH = 9  # frames that one delta looks at

#: Raised by one whenever a feature changes: a model trained on other features is refused.
FEATURE_VERSION = 1

#: Frames this far below the loudest one, in decibel of RMS, count as silence at the ends of a clip.
SILENCE_DB = 40.0

#: The shortest waveform, in samples, whose frames suffice for a delta (186 ms).
MIN_SAMPLES = (DELTA_WIDTH - 1) * HOP_LENGTH

FEATURE_NAMES: tuple[str, ...] = (
    *(f"mfcc_{i}" for i in range(N_MFCC)),
    *(f"mfcc_delta_{i}" for i in range(N_MFCC)),
    *(f"mfcc_delta2_{i}" for i in range(N_MFCC)),
    *(f"chroma_{i}" for i in range(N_CHROMA)),
    *(f"mel_{i}" for i in range(N_MELS)),
    "spectral_centroid",
    "spectral_bandwidth",
    "zero_crossing_rate",
    "rms",
)
MEL = slice(FEATURE_NAMES.index("mel_0"), FEATURE_NAMES.index("mel_0") + N_MELS)
RMS = FEATURE_NAMES.index("rms")

#: The columns by kind: MFCC, their two deltas, chroma, mel, and the last four together.
FEATURE_GROUPS = (
    slice(0, 40),
    slice(40, 80),
    slice(80, 120),
    slice(120, 132),
    MEL,
    slice(260, 264),
)


class ShortWaveformWarning(UserWarning):
    """The waveform was shorter than `MIN_SAMPLES` and was continued with silence."""


def extract_frames(waveform: np.ndarray) -> np.ndarray:
    """Return the features of each frame of a waveform.

    A waveform shorter than `MIN_SAMPLES` is continued with silence up to that length, because
    the deltas need nine frames, and a `ShortWaveformWarning` says so.

    Args:
        waveform: (samples,) floating point, mono, at `SAMPLE_RATE`, in [-1, 1].

    Returns:
        (frames, 264) float32 in the order of `FEATURE_NAMES`, where
        frames = 1 + samples // HOP_LENGTH: frame i is centred on sample i * HOP_LENGTH.

    Raises:
        AudioError: the array is not a mono floating-point waveform, is empty, or holds NaN or
            infinity.
    """
    import librosa

    waveform = _checked(waveform)
    if len(waveform) < MIN_SAMPLES:
        warnings.warn(
            f"The waveform has {len(waveform)} samples; it was continued with silence to the "
            f"{MIN_SAMPLES} that the delta features need.",
            ShortWaveformWarning,
            stacklevel=2,
        )
        waveform = np.pad(waveform, (0, MIN_SAMPLES - len(waveform)))

    magnitude = np.abs(
        librosa.stft(
            waveform,
            n_fft=N_FFT,
            hop_length=HOP_LENGTH,
            win_length=N_FFT,
            window="hann",
            center=True,
            pad_mode="constant",
        )
    )
    mel = librosa.feature.melspectrogram(
        S=magnitude**2, sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=0.0, fmax=None, power=2.0
    )
    mel_db = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80.0)
    mfcc = librosa.feature.mfcc(S=mel_db, n_mfcc=N_MFCC, dct_type=2, norm="ortho", lifter=0)
    chroma = librosa.feature.chroma_stft(
        S=magnitude,
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        n_chroma=N_CHROMA,
        norm=np.inf,
        tuning=_tuning(magnitude),
    )
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE, n_fft=N_FFT)
    bandwidth = librosa.feature.spectral_bandwidth(
        S=magnitude, sr=SAMPLE_RATE, n_fft=N_FFT, centroid=centroid, norm=True, p=2
    )
    zero_crossing_rate = librosa.feature.zero_crossing_rate(
        waveform, frame_length=N_FFT, hop_length=HOP_LENGTH, center=True
    )
    rms = librosa.feature.rms(
        y=waveform, frame_length=N_FFT, hop_length=HOP_LENGTH, center=True, pad_mode="constant"
    )
    rows = np.concatenate(
        [
            mfcc,
            librosa.feature.delta(mfcc, width=DELTA_WIDTH, order=1, mode="interp"),
            librosa.feature.delta(mfcc, width=DELTA_WIDTH, order=2, mode="interp"),
            chroma,
            mel,
            centroid,
            bandwidth,
            zero_crossing_rate,
            rms,
        ]
    )
    return np.ascontiguousarray(rows.T, dtype=np.float32)


def extract_vector(waveform: np.ndarray) -> np.ndarray:
    """Return the mean over all frames of `extract_frames`: the vector of the original system.

    Args:
        waveform: (samples,) floating point, mono, at `SAMPLE_RATE`, in [-1, 1].

    Returns:
        (264,) float32 in the order of `FEATURE_NAMES`.

    Raises:
        AudioError: as `extract_frames`.
    """
    return mean_vector(extract_frames(waveform))


def mean_vector(frames: np.ndarray) -> np.ndarray:
    """Return the (264,) float32 mean of (frames, 264) features over time."""
    return frames.mean(axis=0, dtype=np.float64).astype(np.float32)


def trim_silence(frames: np.ndarray) -> np.ndarray:
    """Cut the silence before the first and after the last sound, but for two frames on each side.

    A corpus' pauses around its sentences say how it was cut, not how somebody feels. Silence is
    what lies `SILENCE_DB` under the loudest frame, so in a noisy recording nothing is cut.

    Args:
        frames: (frames, 264) as from `extract_frames`.

    Returns:
        (frames', 264), a view of the rows that remain: at least one.
    """
    loudness = frames[:, RMS]
    sound = np.flatnonzero(loudness >= loudness.max() * 10 ** (-SILENCE_DB / 20))
    return frames[max(0, sound[0] - 2) : sound[-1] + 3]


def _tuning(magnitude: np.ndarray) -> float:
    """Return how far the sound is tuned from A440, in semitones: [-0.5, 0.5), 0 without pitch.

    As librosa.estimate_tuning, which chroma_stft would call, but without its warning about
    silence: a process-wide warning filter would not be safe under threads.
    """
    import librosa

    pitch, strength = librosa.piptrack(S=magnitude, sr=SAMPLE_RATE, n_fft=N_FFT)
    found = pitch > 0
    if not found.any():
        return 0.0
    strong = found & (strength >= np.median(strength[found]))
    return librosa.pitch_tuning(pitch[strong], resolution=0.01, bins_per_octave=N_CHROMA)


def _checked(waveform: np.ndarray) -> np.ndarray:
    """Return the waveform as float32, or say what keeps it from being one."""
    waveform = np.asarray(waveform)
    if waveform.ndim != 1:
        raise AudioError(
            f"Expected a mono waveform of shape (samples,), found shape {waveform.shape}. "
            "Load it with audio.load(), which mixes channels down."
        )
    if not np.issubdtype(waveform.dtype, np.floating):
        raise AudioError(
            f"Expected a floating-point waveform in [-1, 1], found {waveform.dtype}. "
            "Load it with audio.load(), which scales integer samples."
        )
    if waveform.size == 0:
        raise AudioError("Expected a waveform with at least one sample, found none.")
    if not np.isfinite(waveform).all():
        raise AudioError("Expected finite samples, found NaN or infinity in the waveform.")
    return waveform.astype(np.float32, copy=False)
