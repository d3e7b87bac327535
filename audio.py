"""Sound in any common format to a mono float32 waveform at 22 050 Hz."""

import contextlib
import functools
import importlib.util
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

import numpy as np

import limits
import workers

SAMPLE_RATE = 22050  # Hz, of every waveform in this project
PIECE_SECONDS = 60.0  # of a long recording that are worked on together

#: A mean of the first `OFFSET_SECONDS` farther from 0 than this (-54 dB of full scale) is an
#: offset. The means of RAVDESS and CREMA-D lie within 0.0013.
MAX_OFFSET = 0.002
OFFSET_SECONDS = 10

# What counts as sound when a folder or an archive is searched. Any other file can still be named.
# fmt: off
EXTENSIONS = frozenset({
    ".3gp", ".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka",
    ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav", ".wave", ".webm",
    ".wma",
})
# fmt: on

_BLOCK = 2**16  # numbers decoded at a time, over all channels
# FFmpeg reads more: playlists (which open other files and addresses), pictures, subtitles.
_FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,"
    "mpeg,mpegts,ogg,tta,w64,wav,wv"
)
_ADVICE = "expected WAV, FLAC, OGG, MP3, M4A, WebM or the like; convert it to WAV and try again"

Blocks = Iterator[tuple[int, np.ndarray]]  # sampling rate, samples (frames, channels)


class AudioError(ValueError):
    """A sound cannot be used; the message says in one line what was found and what to do."""


class _DecoderError(Exception):
    """A decoder cannot read the sound, or not to its end."""


def load(source: str | os.PathLike | bytes | BinaryIO) -> np.ndarray:
    """Decode a sound, average its channels and resample it to `SAMPLE_RATE` with soxr HQ.

    libsndfile (soundfile) decodes WAV, FLAC, Ogg, AIFF; FFmpeg (PyAV) decodes MP3 and whatever
    libsndfile refuses. Where one fails the other is tried, and goes on where the first one ended:
    of a cut or damaged file as much is returned as either can decode. An offset is removed
    (`without_offset`).

    Args:
        source: Path, the bytes of a file, or a binary file object (read from its beginning).

    Returns:
        Waveform (samples,) float32, finite, at least one sample. Full scale is [-1, 1]; lossy and
        floating-point formats may exceed it.

    Raises:
        AudioError: There is no sound in `source`, it or it lasts longer, has more channels, or
            sampling rate or sample values beyond what `limits` allows.
    """
    samples = bytearray()  # grows in place, so that hours of sound are held once
    for piece in stream(source):
        samples += piece.tobytes()
    return np.frombuffer(samples, np.float32)


def stream(
    source: str | os.PathLike | bytes | BinaryIO,
    *,
    seconds: float = PIECE_SECONDS,
    progress: Callable[[float], None] | None = None,
) -> Iterator[np.ndarray]:
    """Yield the waveform that `load` returns piece after piece, decoding as it goes.

    Args:
        source: as for `load`.
        seconds: length of all pieces but the last one, which may be shorter.
        progress: called with the share of the file that is read, 0 to 1, when a piece is done with.

    Raises:
        AudioError: as `load`, when the iteration comes to what is wrong.
    """
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
    else:
        name = getattr(source, "name", "")
    with contextlib.ExitStack() as closing:
        with _explained(name):
            file = closing.enter_context(_open(source))
        pieces = _regroup(_remove_offset(_regroup(_decode(file), OFFSET_SECONDS)), seconds)
        while True:
            with _explained(name):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece
            if progress is not None:
                progress(_share_read(file))


def load_part(source: str | os.PathLike | bytes | BinaryIO, start: float, end: float) -> np.ndarray:
    """Return the waveform between two moments, in seconds, of what `load` would return.

    What follows is not decoded; where the recording ends before, so does the waveform.

    Raises:
        AudioError: as `load`.
    """
    first, last = (round(seconds * SAMPLE_RATE) for seconds in (start, end))
    pieces, place = [], 0
    for piece in stream(source, seconds=OFFSET_SECONDS):
        pieces.append(piece[max(0, first - place) : max(0, last - place)])
        place += len(piece)
        if place >= last:
            break
    return np.concatenate(pieces)


def without_offset(waveform: np.ndarray) -> np.ndarray:
    """Return a waveform less its offset, a constant that a bad sound card adds.

    Nobody hears it, but it hides where the sign changes and how deep the silence is. It is measured
    as the mean of the first `OFFSET_SECONDS`, so that it is known long before a recording ends. Up
    to `MAX_OFFSET` the waveform is returned as it is; a high-pass would change every recording, and
    so what the networks learned from.
    """
    return waveform - _offset(waveform)


def _offset(beginning: np.ndarray) -> np.float32:
    mean = beginning[: OFFSET_SECONDS * SAMPLE_RATE].mean(dtype=np.float64)
    return np.float32(mean if abs(mean) > MAX_OFFSET else 0)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say of a sound that cannot be read which one it is, in one line."""
    try:
        yield
        return
    except AudioError as error:
        message = str(error)
    except FileNotFoundError:
        message = f"{_what_is_missing(name)}, expected a sound file; check the name"
    except OSError as error:
        message = f"cannot be read ({error.strerror or error}); check its name and permissions"
    raise AudioError(f"{printable(name) or 'the sound'}: {message}")


def _what_is_missing(path: str) -> str:
    return "is a broken link" if os.path.islink(path) else "does not exist"


def printable(name: object) -> str:
    """Escape what a terminal would not print but obey, such as colours and new lines."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


def _open(source: str | os.PathLike | bytes | BinaryIO) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not isinstance(source, str | os.PathLike):
        if not hasattr(source, "seekable"):
            raise AudioError(
                f"is of type {type(source).__name__}, expected a path, the bytes of a file or a "
                "binary file object; a waveform is for EmotionClassifier.classify_waveform"
            )
        return contextlib.nullcontext(source)  # whoever opened it closes it
    try:
        mode = os.stat(source).st_mode
    except ValueError as error:  # a zero byte, say
        raise AudioError(f"is no file name ({error}); check it") from None
    if stat.S_ISDIR(mode):
        raise AudioError("is a folder, expected a sound file; name a file in it")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for somebody to write into it
        raise AudioError("is a pipe or device, expected a sound file; save the sound in one")
    return open(source, "rb")


class _Input:
    """A file as the decoders see it: without name, and silent about impossible seeks.

    By its name, libsndfile would take a file without header for raw samples. An exception in a
    seek, to where a damaged header points, would be printed from libsndfile and not raised.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return self.tell()


def _decode(file: BinaryIO) -> Iterator[np.ndarray]:
    """Yield the waveform at `SAMPLE_RATE` in blocks of any length."""
    if not file.seekable():
        raise AudioError("is a stream, expected a file; read it and pass the bytes")
    file.seek(0)
    head = file.read(3)
    if isinstance(head, str):
        raise AudioError("is opened as text, expected a binary file object; open it with 'rb'")
    if not head:
        raise AudioError("is empty (0 bytes), expected a sound; record or copy it again")
    if head[:2] == b"\xf0\x7e":  # libsndfile would print every fault of it on stdout
        raise AudioError(f"is a MIDI sample dump, {_ADVICE}")
    decoders = [_read_soundfile, _read_av]
    if head == b"ID3" or (head[0] == 0xFF and head[1:] >= b"\xe0"):
        # MP3: libsndfile would print warnings on stderr.
        decoders = [_read_av if importlib.util.find_spec("av") else _read_soundfile]
    yielded = 0
    failures = []
    for decoder in decoders:
        file.seek(0)
        place = 0
        try:
            for block in _resample(_whole_steps(decoder(_Input(file)))):
                new = block[max(0, yielded - place) :]
                place += len(block)
                yielded += len(new)
                yield new
            break
        except _DecoderError as error:
            failures.append(str(error))
    if not yielded:
        found = "; ".join(failures) or "not one sample"
        raise AudioError(f"no sound found in it ({found}); {_ADVICE}")


def _whole_steps(blocks: Blocks) -> Blocks:
    """Yield blocks; Ctrl-C waits until each is decoded, for a decoder calls back to read."""
    while True:
        with workers.interrupts_wait():
            block = next(blocks, None)
        if block is None:
            return
        yield block


def _resample(blocks: Blocks) -> Iterator[np.ndarray]:
    """Yield blocks of a waveform at `SAMPLE_RATE`; a `_DecoderError` is raised after the last."""
    import soxr

    stream, stream_rate, seconds, failure = None, SAMPLE_RATE, 0.0, None
    nothing = np.empty(0, np.float32)
    try:
        for rate, block in blocks:
            seconds += len(block) / rate if rate else 0
            _check(rate, block, seconds)
            if rate != stream_rate:
                if stream:
                    yield stream.resample_chunk(nothing, last=True)
                stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
                stream_rate = rate
            mono = _mix(block)
            # A decoder may fill its block anew.
            yield stream.resample_chunk(mono) if stream else mono.copy()
    except _DecoderError as error:
        failure = error
    if stream:
        yield stream.resample_chunk(nothing, last=True)
    if failure:
        raise failure


def _mix(block: np.ndarray) -> np.ndarray:
    """Return the mean of the channels: (samples,) float32."""
    if block.shape[1] == 1:
        return block[:, 0].astype(np.float32, copy=False)
    # Channel after channel in memory: ten times as fast as block.mean(axis=1).
    return np.ascontiguousarray(block.T, np.float32).mean(axis=0)


def _remove_offset(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Do to a waveform in pieces of `OFFSET_SECONDS` what `without_offset` does to it in one."""
    offset = None
    for piece in pieces:
        if offset is None:
            offset = _offset(piece)
        yield piece - offset if offset else piece


def _regroup(blocks: Iterable[np.ndarray], seconds: float) -> Iterator[np.ndarray]:
    """Yield the same samples in pieces of some seconds, but for the last one."""
    size = round(seconds * SAMPLE_RATE)
    held: list[np.ndarray] = []
    length = 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= size:
            samples = np.concatenate(held)
            whole = length // size * size
            yield from samples[:whole].reshape(-1, size)
            held, length = [samples[whole:]], length - whole
    if length:
        yield np.concatenate(held)


def _share_read(file: BinaryIO) -> float:
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(place)
    return min(1.0, place / size)  # FFmpeg looks behind the end of a file that was cut off


def _check(rate: int, block: np.ndarray, seconds: float) -> None:
    channels = block.shape[1]
    if not limits.MIN_RATE <= rate <= limits.MAX_RATE:
        raise AudioError(
            f"has a sampling rate of {rate} Hz, expected {limits.MIN_RATE} to {limits.MAX_RATE}; "
            "resample it"
        )
    if channels > limits.CHANNELS:
        raise AudioError(f"has {channels} channels, expected 1 to {limits.CHANNELS}; mix it down")
    if seconds > limits.RECORDING_HOURS * 3600:
        raise AudioError(f"lasts longer than {limits.RECORDING_HOURS:g} hours; cut it into pieces")
    peak = max(block.max(initial=0), -block.min(initial=0))  # np.abs would copy
    if not np.isfinite(peak):
        raise AudioError("has samples that are NaN or infinite, expected [-1, 1]; export it again")
    if peak > limits.PEAK:
        raise AudioError(f"has samples up to {peak:.3g}, expected [-1, 1]; scale it down")


def _read_soundfile(file: _Input) -> Blocks:
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            # NumPy scales 16 bits in a tenth of the time that libsndfile takes, to the same floats.
            sixteen = sound.subtype == "PCM_16"
            shape = (_BLOCK // sound.channels, sound.channels)
            block = np.empty(shape, np.int16 if sixteen else np.float32)
            while len(part := sound.read(out=block)):
                yield sound.samplerate, part * np.float32(2**-15) if sixteen else part
    except soundfile.LibsndfileError as error:
        raise _DecoderError(f"libsndfile: {error.error_string.strip(' .')}") from None


def _read_av(file: _Input) -> Blocks:
    try:
        import av
    except ImportError:
        raise _DecoderError("FFmpeg: not installed, try pip install av") from None

    options = {"format_whitelist": _FFMPEG_FORMATS, "codec_whitelist": _sound_decoders()}
    try:
        with av.open(file, "r", options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError(f"is {container.format.long_name} without sound; {_ADVICE}")
            for packet in container.demux(container.streams.audio[0]):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue  # a damaged packet: FFmpeg goes on with the next one
                for frame in frames:
                    yield frame.sample_rate, _frame_samples(frame)
    except AudioError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _DecoderError(f"FFmpeg: {getattr(error, 'strerror', None) or error}") from None


@functools.cache
def _sound_decoders() -> str:
    """Names of FFmpeg's decoders of sound: a cover picture can unpack to gigabytes."""
    import av

    decoders = []
    for name in sorted(av.codecs_available):
        with contextlib.suppress(av.codec.codec.UnknownCodecError):  # it only encodes
            if av.Codec(name, "r").type == "audio":
                decoders.append(name)
    return ",".join(decoders)


def _frame_samples(frame: Any) -> np.ndarray:
    """Samples (frames, channels) floating-point of an av.AudioFrame, integers scaled to [-1, 1]."""
    samples = frame.to_ndarray()  # planar: (channels, frames); packed: (1, frames * channels)
    if frame.format.is_planar:
        samples = samples.T
    samples = samples.reshape(frame.samples, -1)
    if samples.dtype.kind == "f":
        return samples
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    middle = full_scale if samples.dtype.kind == "u" else 0.0
    return (samples - middle) / full_scale
