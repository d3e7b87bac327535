"""What is drawn of a sound, in memory that does not grow with its length."""

import base64
import io
import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd

import audio
import features

MAX_COLUMNS = 2400  # of a picture; screens hardly have more
PIECE_SAMPLES = 2048 * features.HOP_LENGTH  # of a waveform in pieces: 48 s
DYNAMIC_RANGE = 80  # dB from the brightest to the darkest colour
QUIET = -20.0  # dB, the loudest band of a barely audible voice: what is below stays dark
_WAVE_STEP = 16  # samples in the narrowest column of a waveform


@dataclass(frozen=True)
class Sketch:
    """What is drawn of a sound, whatever its length.

    Attributes:
        seconds: length of the sound.
        wave: columns time (s), low, high: the lowest and highest sample from each time on.
        mel: its mel spectrogram as a picture (data URL), time to the right, pitch upwards.
    """

    seconds: float
    wave: pd.DataFrame
    mel: str


class Sketcher:
    """Makes a `Sketch` of a waveform that comes in pieces, and remembers none of them.

    It may be asked for one while another thread adds a piece.
    """

    def __init__(self) -> None:
        self.pieces = 0  # so far
        self._lock = threading.Lock()
        self._samples = 0
        self._low, self._high = _Columns(np.minimum), _Columns(np.maximum)
        self._mel = _Columns(np.maximum)

    def add(self, piece: np.ndarray) -> None:
        """Look at the next piece of a waveform.

        Args:
            piece: (`PIECE_SAMPLES`,) float32, mono, at `audio.SAMPLE_RATE`; the last one of all may
                be shorter.
        """
        columns = range(0, len(piece), _WAVE_STEP)
        low, high = (extreme.reduceat(piece, columns) for extreme in (np.minimum, np.maximum))
        frames = -(-len(piece) // features.HOP_LENGTH)
        mel = features.analyse(piece).mel[:frames]
        with self._lock:
            self._low.add(low)
            self._high.add(high)
            self._mel.add(mel)
            self._samples += len(piece)
            self.pieces += 1

    def sketch(self) -> Sketch:
        """Return what is drawn of all pieces so far."""
        with self._lock:
            step = self._low.step * _WAVE_STEP / audio.SAMPLE_RATE
            low, high, mel = self._low.held, self._high.held, self._mel.held
            seconds = self._samples / audio.SAMPLE_RATE
        wave = pd.DataFrame({"time": step * np.arange(len(low)), "low": low, "high": high})
        return Sketch(seconds, wave.round(4), _picture(mel))


class _Columns:
    """The extremes of a series of unknown length in `MAX_COLUMNS` at most.

    Each column is of `step` values; whenever there are too many, each two become one.
    """

    def __init__(self, extreme: np.ufunc) -> None:
        self._extreme = extreme
        self.step = 1
        self.held = np.empty(0, np.float32)

    def add(self, values: np.ndarray) -> None:
        """Add (values,) or (values, bands), a multiple of `step` of them but at the end."""
        new = self._extreme.reduceat(values, range(0, len(values), self.step))
        self.held = np.concatenate([self.held, new]) if len(self.held) else new
        while len(self.held) > MAX_COLUMNS:
            self.held = self._extreme.reduceat(self.held, range(0, len(self.held), 2))
            self.step *= 2


def _picture(mel: np.ndarray) -> str:
    """Return (columns, bands) mel powers in decibel as colours, in a data URL."""
    from matplotlib import colormaps
    from PIL import Image

    decibel = 10 * np.log10(np.maximum(mel.T[::-1], features.POWER_FLOOR))
    brightness = 1 + (decibel - max(decibel.max(), QUIET)) / DYNAMIC_RANGE
    picture = Image.fromarray((255 * brightness.clip(0, 1)).round().astype(np.uint8))
    picture.putpalette(colormaps["magma"](range(256), bytes=True)[:, :3].tobytes())
    png = io.BytesIO()
    picture.save(png, "PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
