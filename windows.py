"""A recording of any length cut into overlapping windows, in memory that does not grow with it.

The features of a window are those of the recording's frames that are centred in it: as of the
window alone, but for frames at its edges, which look beyond them and not into silence. So a frame
is analysed once for all windows that hold it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

import features
from audio import SAMPLE_RATE
from features import HOP_LENGTH, N_FFT

WINDOW_SECONDS = 3.0  # that a window lasts
WINDOW_HOP_SECONDS = 1.5  # from the beginning of a window to that of the next one

SAMPLES = round(WINDOW_SECONDS * SAMPLE_RATE)
HOP = round(WINDOW_HOP_SECONDS * SAMPLE_RATE)


class Window(NamedTuple):
    """A stretch of a recording.

    Attributes:
        start: its first sample, counted from the beginning of the recording.
        waveform: its samples, `SAMPLES` unless the whole recording is shorter.
        spectra: of its frames, for `features.combine`.
    """

    start: int
    waveform: np.ndarray
    spectra: features.Spectra


def cut(pieces: Iterable[np.ndarray]) -> Iterator[Window]:
    """Cut a recording into windows, each as soon as it is whole.

    The last window ends with the recording: no rest is left out, none is mostly padding.

    Args:
        pieces: of a waveform one after the other, (samples,) float32 each. The longer, the more
            memory it takes; the shorter, the more frames are analysed twice.
    """
    held = np.empty(0, np.float32)
    begin = start = 0  # of what is held, and of the next window
    for piece in pieces:
        held = np.concatenate([held, piece])
        end = begin + len(held)
        whole = range(start, end - SAMPLES - N_FFT // 2 + 1, HOP)
        if whole:
            yield from _windows(held, begin, whole)
            start = whole[-1] + HOP
            # The last window of all may lie anywhere behind the last one until now.
            held, begin = held[whole[-1] - begin :], whole[-1]
    end = begin + len(held)
    if end:
        rest = [*range(start, end - SAMPLES, HOP), max(0, end - SAMPLES)]
        yield from _windows(held, begin, rest, ends=True)


def _windows(
    held: np.ndarray, begin: int, starts: Sequence[int], *, ends: bool = False
) -> Iterator[Window]:
    """Yield the windows that begin at `starts`.

    Args:
        held: what is held of the recording, from sample `begin` on.
        ends: the recording ends with it. Otherwise half a frame more than the windows is held.
    """
    first = -(-starts[0] // HOP_LENGTH)  # frame
    context = max(0, first * HOP_LENGTH - N_FFT // 2)
    end = begin + len(held) if ends else starts[-1] + SAMPLES + N_FFT // 2
    spectra = features.analyse(
        held[context - begin : end - begin], begins=starts[0] == 0, ends=ends
    )
    for start in starts:
        waveform = held[start - begin : start - begin + SAMPLES]
        frames = -(-start // HOP_LENGTH), (start + len(waveform)) // HOP_LENGTH + 1
        yield Window(start, waveform, spectra.part(frames[0] - first, frames[1] - first))
