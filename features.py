"""Waveform → the 264 numbers of a frame, and their mean, the vector of the original system.

The definition is librosa 0.11: every number is one that a librosa function gives, with the
parameters below and otherwise librosa's defaults. This module computes them from one shared STFT,
with tables made once per process and without importing librosa, which takes longer than the answer;
`tests/test_features.py` holds it to librosa's functions called one by one.
"""

import functools
import warnings
from typing import NamedTuple

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

#: And this far below it as pauses, which `vector` leaves out wherever they are.
PAUSE_DB = 30.0

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

#: What one decibel more adds: the first MFCC is the orthonormal sum of the mel decibels.
LOUDER = np.zeros(len(FEATURE_NAMES), np.float32)
LOUDER[0] = N_MELS**0.5
LOUDER[MEL] = LOUDER[RMS] = 1.0

#: Powers below this count as it in decibel: the floor of librosa.power_to_db.
POWER_FLOOR = 1e-10

# Frames worked on at a time. What they need stays in the processor's cache, and products of so few
# are not shared among BLAS's threads, which on a busy machine wait for each other.
_BLOCK = 24

_TUNINGS = np.linspace(-0.5, 0.5, 101)  # semitones off A440

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
        AudioError: as `check`.
    """
    waveform = check(waveform)
    if len(waveform) < MIN_SAMPLES:
        warnings.warn(
            f"The waveform has {len(waveform)} samples; it was continued with silence to the "
            f"{MIN_SAMPLES} that the delta features need.",
            ShortWaveformWarning,
            stacklevel=2,
        )
        waveform = np.pad(waveform, (0, MIN_SAMPLES - len(waveform)))

    return combine(analyse(waveform))


class Spectra(NamedTuple):
    """What each frame of a recording says by itself, before frames are compared.

    Attributes:
        magnitude: (frames, 1 + N_FFT / 2) float32.
        mel: (frames, N_MELS) float32 powers.
        others: (frames, 4) float32: the last four columns of the features.
        peaks: of all frames, one after the other: `Peaks`.
    """

    magnitude: np.ndarray
    mel: np.ndarray
    others: np.ndarray
    peaks: "Peaks"

    def part(self, first: int, end: int) -> "Spectra":
        """Return the frames from `first` to before `end`."""
        some = slice(*np.searchsorted(self.peaks.frame, [first, end]))
        return Spectra(
            self.magnitude[first:end],
            self.mel[first:end],
            self.others[first:end],
            Peaks(*(array[some] for array in self.peaks)),
        )


class Peaks(NamedTuple):
    """Spectral peaks: (peaks,) each.

    Attributes:
        frame: which frame it is in, ascending.
        strength: its magnitude.
        off: how far it is off the next semitone, from -0.5 to 0.5.
    """

    frame: np.ndarray
    strength: np.ndarray
    off: np.ndarray


def analyse(waveform: np.ndarray, *, begins: bool = True, ends: bool = True) -> Spectra:
    """Return the spectra of a recording's frames, or of a stretch of it.

    Args:
        waveform: (samples,) float32, at least `N_FFT / 2`.
        begins: the recording begins here: half a frame of silence is put before it. Otherwise the
            first frame is centred half a frame after the beginning.
        ends: likewise at the end.
    """
    before = N_FFT // 2 if begins else 0
    padded = np.pad(waveform, (before, N_FFT // 2 if ends else 0))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]
    magnitude = np.empty((len(pieces), 1 + N_FFT // 2), np.float32)
    mel = np.empty((len(pieces), N_MELS), np.float32)
    for first in range(0, len(pieces), _BLOCK):
        block = slice(first, first + _BLOCK)
        # In double precision, then rounded, as librosa.stft: far from a tone, rounding is all
        # there is.
        spectrum = np.fft.rfft(pieces[block] * _window(), axis=1).astype(np.complex64)
        np.abs(spectrum, out=magnitude[block])
        mel[block] = _mel_powers(magnitude[block])
    others = np.empty((len(pieces), 4), np.float32)
    others[:, :2] = _centroid_and_bandwidth(magnitude)
    others[:, 2] = _zero_crossing_rate(waveform, before, len(padded))
    others[:, 3] = _rms(padded)
    return Spectra(magnitude, mel, others, _peaks(magnitude))


def combine(spectra: Spectra) -> np.ndarray:
    """Return the (frames, 264) float32 features of a piece of at least nine frames.

    Three kinds of feature hang on all frames of the piece: the MFCC on its loudest number, their
    deltas on neighbours, the chroma on how the piece is tuned.
    """
    magnitude, mel, others, peaks = spectra
    features = np.empty((len(mel), len(FEATURE_NAMES)), np.float32)
    features[:, :N_MFCC] = mfcc = _mel_to_mfcc(10 * np.log10(np.maximum(mel, POWER_FLOOR)))
    features[:, N_MFCC : 3 * N_MFCC] = _deltas(mfcc)
    chroma = _product(magnitude, _chroma_filters(_tuning(peaks)))
    features[:, 3 * N_MFCC : MEL.start] = chroma / _or_one(chroma.max(axis=1, keepdims=True))
    features[:, MEL] = mel
    features[:, MEL.stop :] = others
    return features


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


def decibel(frames: np.ndarray) -> np.ndarray:
    """Return (frames, 264) features with mel and RMS in decibel, as a new array.

    On this scale a gain, and a microphone's colouring, are a shift of all frames.
    """
    frames = frames.copy()
    frames[:, MEL] = 10 * np.log10(np.maximum(frames[:, MEL], POWER_FLOOR))
    frames[:, RMS] = 20 * np.log10(np.maximum(frames[:, RMS], POWER_FLOOR**0.5))
    return frames


def linear(frames: np.ndarray) -> np.ndarray:
    """Return what `decibel` was given, but for what lay under its floor."""
    frames = frames.copy()
    frames[:, MEL] = 10 ** (frames[:, MEL] / 10)
    frames[:, RMS] = 10 ** (frames[:, RMS] / 20)
    return frames


def averages(frames: np.ndarray) -> np.ndarray:
    """Return the mean of (frames, 264) features over time, mel and RMS in decibel: (264,)."""
    return decibel(frames).mean(axis=0)


def _mel_to_mfcc(mel: np.ndarray) -> np.ndarray:
    """Return the MFCC of (frames, 128) mel powers in decibel: (frames, 40).

    As in librosa, what is 80 dB under the loudest number is raised to there.
    """
    return _product(np.maximum(mel, mel.max() - 80), _dct())


def cepstral_mean(averages: np.ndarray) -> np.ndarray:
    """Return the MFCC of the mean of a clip's mel bands over time, in decibel: (..., 40).

    Unlike the mean of its MFCC it has all that lies more than 80 dB under the loudest number, such
    as what a microphone or a codec leaves of the highs.

    Args:
        averages: (..., 264) of `averages`.
    """
    return averages[..., MEL] @ _dct()


def trim_silence(frames: np.ndarray) -> np.ndarray:
    """Cut the silence before the first and after the last sound, but for two frames on each side.

    A corpus' pauses around its sentences say how it was cut, not how somebody feels. Silence is
    what lies `SILENCE_DB` under the loudest frame, so in a noisy recording nothing is cut.

    Args:
        frames: (frames, 264) as from `extract_frames`.

    Returns:
        (frames', 264), a view of the rows that remain: at least one.
    """
    sound = np.flatnonzero(_reaches(frames, SILENCE_DB))
    return frames[max(0, sound[0] - 2) : sound[-1] + 3]


def vector_of_sound(frames: np.ndarray, pause_db: float = PAUSE_DB) -> np.ndarray:
    """Return the (264,) float32 mean of all frames but pauses.

    In a mean over both, how long the pauses are hides how the speech is (docs/experiments.md).

    Args:
        frames: (frames, 264) as from `extract_frames`.
        pause_db: how far a pause is below the loudest frame, in decibel of RMS.
    """
    return mean_vector(frames[_reaches(frames, pause_db)])


def _reaches(frames: np.ndarray, decibel: float) -> np.ndarray:
    """Return which frames are at most so many decibel softer than the loudest one: (frames,)."""
    loudness = frames[:, RMS]
    return loudness >= loudness.max() * 10 ** (-decibel / 20)


def _product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return rows @ matrix, worked out a block at a time."""
    blocks = range(0, len(rows), _BLOCK)
    return np.concatenate([rows[first : first + _BLOCK] @ matrix for first in blocks])


@functools.cache
def _window() -> np.ndarray:
    """Return the periodic Hann window: (N_FFT,)."""
    phase = 2 * np.pi * np.arange(N_FFT) / N_FFT
    return 0.5 - 0.5 * np.cos(phase)


def mel_frequencies() -> np.ndarray:
    """Return librosa.mel_frequencies on Slaney's scale: (N_MELS + 2,), in Hz.

    Band i rises from frequency i to its centre, frequency i + 1, and falls to frequency i + 2.
    """
    # Linear up to 1 kHz, which is 15 mel, then 27 mel to a factor of 6.4.
    step = np.log(6.4) / 27
    highest = 15 + np.log(SAMPLE_RATE / 2 / 1000) / step
    mels = np.linspace(0, highest, N_MELS + 2)
    return np.where(mels < 15, 200 / 3 * mels, 1000 * np.exp(step * (mels - 15)))


@functools.cache
def _mel_filters() -> np.ndarray:
    """Return librosa.filters.mel (Slaney's norm), transposed: (bins, N_MELS)."""
    hertz = mel_frequencies()
    distance = hertz - _frequencies()[:, np.newaxis]
    width = np.diff(hertz)
    rising, falling = -distance[:, :-2] / width[:-1], distance[:, 2:] / width[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (hertz[2:] - hertz[:-2])).astype(np.float32)


def _mel_powers(magnitude: np.ndarray) -> np.ndarray:
    """Return the mel spectrum of power: (frames, N_MELS) float32.

    Neighbouring bands share a product over the few bins that they reach.
    """
    power = np.square(magnitude)
    return np.concatenate([power[:, bins] @ weights for bins, weights in _mel_blocks()], axis=1)


@functools.cache
def _mel_blocks() -> list[tuple[slice, np.ndarray]]:
    """Return the filters of 16 bands at a time, and the bins that these reach."""
    blocks = []
    for filters in np.split(_mel_filters(), N_MELS // 16, axis=1):
        reached = np.flatnonzero(filters.any(axis=1))
        bins = slice(reached[0], reached[-1] + 1)
        blocks.append((bins, np.ascontiguousarray(filters[bins])))
    return blocks


@functools.cache
def _dct() -> np.ndarray:
    """Return the orthonormal DCT-II from mel bands to coefficients: (N_MELS, N_MFCC)."""
    band, coefficient = np.arange(N_MELS)[:, np.newaxis] + 0.5, np.arange(N_MFCC)
    matrix = np.sqrt(2 / N_MELS) * np.cos(np.pi / N_MELS * band * coefficient)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)


@functools.lru_cache(maxsize=128)  # a tuning is one of 100
def _chroma_filters(tuning: float) -> np.ndarray:
    """Return librosa.filters.chroma, transposed: (bins, N_CHROMA)."""
    frequencies = np.linspace(0, SAMPLE_RATE, N_FFT, endpoint=False)[1:]
    notes = N_CHROMA * _octaves(frequencies, tuning)
    notes = np.concatenate([[notes[0] - 1.5 * N_CHROMA], notes])
    width = np.append(np.maximum(np.diff(notes), 1), 1)[:, np.newaxis]
    half = N_CHROMA // 2
    distance = notes[:, np.newaxis] - np.arange(N_CHROMA) + half
    distance = np.remainder(distance + 10 * N_CHROMA, N_CHROMA) - half
    weights = np.exp(-2 * (distance / width) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    weights *= np.exp(-0.5 * ((notes / N_CHROMA - 5) / 2) ** 2)[:, np.newaxis]  # around octave 5
    from_c = np.roll(weights, -3, axis=1)
    return from_c[: 1 + N_FFT // 2].astype(np.float32)


@functools.cache
def _frequencies() -> np.ndarray:
    """Return the frequency of each bin of the STFT, in Hz: (1 + N_FFT / 2,)."""
    return np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)


def _octaves(frequencies: np.ndarray, tuning: float = 0.0) -> np.ndarray:
    """Return librosa.hz_to_octs: octaves above 27.5 Hz, tuned by a share of a semitone."""
    return np.log2(frequencies / (440.0 * 2.0 ** (tuning / N_CHROMA) / 16))


def _peaks(magnitude: np.ndarray) -> Peaks:
    """Return the peaks between 150 Hz and 4 kHz, as librosa.piptrack finds and places them."""
    hearable = np.flatnonzero((_frequencies() >= 150) & (_frequencies() < 4000))
    low, high = hearable[0], hearable[-1] + 1
    # A neighbour that is not loud counts as 0 there, so it is never above a loud bin.
    peak = magnitude[:, low:high] > 0.1 * magnitude.max(axis=1, keepdims=True)
    rises = magnitude[:, low : high + 1] > magnitude[:, low - 1 : high]
    peak &= rises[:, :-1]
    peak &= ~rises[:, 1:]
    frame, column = np.divmod(np.flatnonzero(peak), high - low)  # faster than np.nonzero
    column += low
    place = frame * magnitude.shape[1] + column
    here, before, after = (magnitude.take(place + step) for step in (0, -1, 1))
    slope, curvature = (after - before) / 2, after + before - 2 * here
    bent = np.abs(slope) < np.abs(curvature)
    shift = np.where(bent, -slope / np.where(bent, curvature, 1), 0)
    # Rounded as there, because a histogram's fullest bin hangs on single peaks.
    pitch = ((column + shift) * SAMPLE_RATE / N_FFT).astype(np.float32)
    off = N_CHROMA * _octaves(pitch)
    off -= np.floor(off)
    off[off >= 0.5] -= 1
    return Peaks(frame, here + 0.5 * slope * shift, off)


def _tuning(peaks: Peaks) -> float:
    """Return librosa.estimate_tuning: how far the sound is off A440, in semitones.

    What is commonest among the stronger half of the peaks; 0 where there is no peak.
    """
    if not len(peaks.frame):
        return 0.0
    off = peaks.off[peaks.strength >= np.median(peaks.strength)]
    counts = np.bincount(np.searchsorted(_TUNINGS, off, side="right"))  # 0: before the first one
    return float(_TUNINGS[np.argmax(counts) - 1])


def _deltas(mfcc: np.ndarray) -> np.ndarray:
    """Return librosa.feature.delta of order 1, then 2: (frames, 2 * N_MFCC).

    Savitzky-Golay: a line, or a parabola, fitted to nine frames. Its highest derivative is the
    same everywhere, so the four frames at each end have that of the first, or last, whole window.
    """
    windows = np.lib.stride_tricks.sliding_window_view(mfcc, DELTA_WIDTH, axis=0)
    inside = np.concatenate([windows @ weights for weights in _delta_weights()], axis=1)
    edge = DELTA_WIDTH // 2
    return np.pad(inside, ((edge, edge), (0, 0)), mode="edge")


@functools.cache
def _delta_weights() -> np.ndarray:
    """Return what nine numbers weigh in the slope of a line, and in twice a parabola's bend."""
    offset = np.arange(DELTA_WIDTH) - DELTA_WIDTH // 2
    line = np.linalg.pinv(np.vander(offset, 2))[0]
    parabola = 2 * np.linalg.pinv(np.vander(offset, 3))[0]
    return np.stack([line, parabola]).astype(np.float32)


def _centroid_and_bandwidth(magnitude: np.ndarray) -> np.ndarray:
    """Return librosa.feature.spectral_centroid and spectral_bandwidth, in Hz: (frames, 2)."""
    moments = _product(magnitude, _moments())
    total, first, second = (moments / _or_one(moments[:, :1])).T
    variance = second - 2 * first * first + first * first * total
    return np.stack([first, np.sqrt(np.maximum(variance, 0))], axis=1)


@functools.cache
def _moments() -> np.ndarray:
    """Return the frequency of each bin to the power of 0, 1 and 2: (1 + N_FFT / 2, 3)."""
    return np.vander(_frequencies(), 3, increasing=True)


def _zero_crossing_rate(waveform: np.ndarray, before: int, samples: int) -> np.ndarray:
    """Return librosa.feature.zero_crossing_rate: (frames,).

    Args:
        waveform: (samples,), without padding: in that, and at its edges, the sign never changes.
        before: samples of padding before it.
        samples: in all, with the padding on both sides.
    """
    below = waveform < -1e-10
    changes = np.zeros(samples, np.uint8)
    np.not_equal(below[1:], below[:-1], out=changes[before + 1 : before + len(waveform)])
    hops = changes[: samples // HOP_LENGTH * HOP_LENGTH].reshape(-1, HOP_LENGTH)
    within = _sum_over_frames(hops.sum(axis=1, dtype=np.int32))
    # The change into its first sample is not within a frame.
    return (within - hops[: len(within), 0]) / N_FFT


def _rms(padded: np.ndarray) -> np.ndarray:
    """Return librosa.feature.rms of a padded waveform: (frames,)."""
    hops = padded[: len(padded) // HOP_LENGTH * HOP_LENGTH].reshape(-1, HOP_LENGTH)
    return np.sqrt(_sum_over_frames(np.einsum("hs,hs->h", hops, hops)) / N_FFT)


def _sum_over_frames(hops: np.ndarray) -> np.ndarray:
    """Return the sum of each frame, given those of the hops of a padded waveform: (frames,)."""
    return np.lib.stride_tricks.sliding_window_view(hops, N_FFT // HOP_LENGTH).sum(axis=1)


def _or_one(values: np.ndarray) -> np.ndarray:
    """Return divisors with 1 in place of those too small, as librosa.util.normalize."""
    return np.where(values > np.finfo(np.float32).tiny, values, 1)


def check(waveform: np.ndarray) -> np.ndarray:
    """Return a waveform as float32.

    Raises:
        AudioError: it is not mono, not floating point, empty, or holds NaN or infinity.
    """
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
