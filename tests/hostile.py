"""Sounds, files, folders, archives and lists that mean no good, each made from a number.

`make` writes a case into a folder, `ask` brings it to the program the way the command, the page and
a training do, `faults` says what of the answer is not as promised. The same number makes the same
case everywhere.
"""

import contextlib
import functools
import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import corpora
import inputs
import test_model

MODEL = "model/frames"
RATE = 16_000
GOOD = "good sound.wav"  # stands beside the others, and must be heard whatever they are
MAX_ERROR = 1_001  # characters: more is no clear line
# RIFF and MP4 lengths, rates, counts: what fits into no memory, no file, no time.
_ABSURD = (0, 1, 2, 0x7F, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)

Files = dict[str, bytes]
Row = dict[str, Any]
Maker = Callable[[Path, np.random.Generator], Path]


def make(folder: Path, number: int) -> tuple[str, Path]:
    """Write case `number` into an empty folder; return its kind, and the path to ask about."""
    rng = np.random.default_rng(number)
    kinds, weights = zip(*((kind, weight) for kind, weight, _ in _KINDS), strict=True)
    chosen = rng.choice(len(kinds), p=np.array(weights) / sum(weights))
    inside = folder / "inside"
    inside.mkdir()
    return kinds[chosen], _KINDS[chosen][2](inside, rng)


def ask(path: Path) -> list[Row]:
    """Return the rows about a case, after it went the other ways that it could come in by."""
    question = test_model.Question(MODEL, test_model._version(MODEL), None, False)
    rows = []
    for sound in inputs.collect([str(path)]):
        rows += test_model._classify((0, sound), question)
    if path.suffix == ".zip":
        archive = io.BytesIO(path.read_bytes())
        unpacked = [sound for sound, _ in inputs.unpack(path.name, archive)]
        assert len(unpacked) == len(rows), "the page and the command find different sounds"
    if path.is_dir() or path.suffix == ".csv":
        with contextlib.suppress(corpora.CorpusError):
            corpora.scan(path)
    return rows


def faults(path: Path, rows: list[Row]) -> list[str]:
    """Return what is not as promised: each sound has an answer or one clear line.

    In a folder or an archive that can be read at all, the good one is heard.
    """
    found = [] if rows else ["nothing said"]
    for row in rows:
        error = row["error"]
        if error.startswith("not classified"):
            found.append(f"surprise: {error}")
        if "\n" in error or "Traceback" in error:
            found.append("more than one line")
        if len(error) > MAX_ERROR:
            found.append(f"a line of {len(error)} characters")
        if not error and row["emotion"] is None and not row["warning"]:
            found.append("no answer and no word why")
    if (path.is_dir() or path.name == "sounds.zip") and not any(
        row["path"].endswith(GOOD) and not row["error"] for row in rows
    ):
        found.append("the good sound was not heard")
    return found


def outcome(rows: list[Row]) -> str:
    """Return what became of a case, in a word."""
    if any(row["error"] for row in rows):
        return "said why not" if all(row["error"] for row in rows) else "some heard"
    return "heard"


def listing(folder: Path) -> dict[str, int]:
    """Return all that lies in a folder, with sizes, so that nothing is written unseen."""
    return {
        os.path.join(parent, name): os.lstat(os.path.join(parent, name)).st_size
        for parent, folders, names in os.walk(folder)
        for name in [*folders, *names]
        if not os.path.isdir(os.path.join(parent, name))
    }


# Sounds


def voice(seconds: float = 0.3, *, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """Return something between a hum and a hiss, (samples, channels) in [-1, 1]."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(0)
    tone = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    waveform = 0.2 * tone * np.sin(2 * np.pi * 4 * time) + 0.01 * rng.standard_normal(len(time))
    return np.repeat(waveform.astype(np.float32)[:, None], channels, axis=1)


def wav(data: bytes, *, rate: int, channels: int, bits: int, tag: int, **lies: int) -> bytes:
    """Return a WAV file; `size`, `block` and `per_second` lie about what follows from the rest."""
    block = lies.get("block", channels * bits // 8)
    per_second = lies.get("per_second", rate * block)
    head = struct.pack(
        "<HHIIHH", tag, channels, rate, per_second & 0xFFFF_FFFF, block & 0xFFFF, bits
    )
    size = lies.get("size", len(data))
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", (size + 36) & 0xFFFF_FFFF) + body


@functools.cache
def valid() -> Files:
    """Return whole files of many formats, by name, as real encoders make them."""
    files = {}
    for container, subtype, ending in (
        ("WAV", "PCM_16", "wav"),
        ("WAV", "FLOAT", "float.wav"),
        ("WAV", "IMA_ADPCM", "adpcm.wav"),
        ("WAV", "GSM610", "gsm.wav"),
        ("WAVEX", "PCM_24", "ex.wav"),
        ("RF64", "PCM_16", "rf64"),
        ("W64", "PCM_16", "w64"),
        ("FLAC", "PCM_16", "flac"),
        ("OGG", "VORBIS", "ogg"),
        ("OGG", "OPUS", "opus"),
        ("MP3", "MPEG_LAYER_III", "mp3"),
        ("AIFF", "PCM_16", "aiff"),
        ("AU", "PCM_16", "au"),
        ("CAF", "PCM_16", "caf"),
        ("CAF", "ALAC_16", "alac.caf"),
    ):
        file = io.BytesIO()
        soundfile.write(file, voice(), RATE, format=container, subtype=subtype)
        files[f"voice.{ending}"] = file.getvalue()
    for container, codec, ending in (
        ("mp4", "aac", "m4a"),
        ("adts", "aac", "aac"),
        ("webm", "libopus", "webm"),
        ("matroska", "libmp3lame", "mka"),
        ("asf", "libmp3lame", "wma"),
        ("mpegts", "mp2", "mp4"),
        ("mp4", "alac", "alac.m4a"),
    ):
        files[f"voice.{ending}"] = _encode(container, codec)
    return files


def _encode(container: str, codec: str) -> bytes:
    """Return the voice through one of FFmpeg's encoders."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(voice().T.copy(), format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, "mono", RATE, stream.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one to three faults, more often where its headers are."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if len(data) < 8:
            break
        end = int(rng.choice([16, 64, 256, len(data)]))
        place = int(rng.integers(max(1, min(end, len(data)) - 4)))
        span = int(rng.integers(1, 1 + min(512, len(data) - place)))
        match rng.integers(9):
            case 0:  # cut
                del data[max(1, place) :]
            case 1:  # a bit
                data[place] ^= 1 << int(rng.integers(8))
            case 2:  # bytes
                for at in rng.integers(place, place + span, size=min(8, span)):
                    data[at] = int(rng.integers(256))
            case 3:  # a number that lies
                order = ("little", "big")[int(rng.integers(2))]
                data[place : place + 4] = int(rng.choice(_ABSURD)).to_bytes(4, order)
            case 4:  # a hole
                data[place : place + span] = bytes(span)
            case 5:  # something missing
                del data[place : place + span]
            case 6:  # something twice
                data[place:place] = data[place : place + span] * int(rng.integers(1, 20))
            case 7:  # something else between
                data[place:place] = rng.bytes(span)
            case 8:  # the rest of another format
                data[place:] = _pick(list(valid().values()), rng)[place:]
    return bytes(data)


def _pick(choices: list[Any], rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _damaged(folder: Path, rng: np.random.Generator) -> Path:
    name = _pick(list(valid()), rng)
    return _write(folder / name, damage(valid()[name], rng))


def _lying_header(folder: Path, rng: np.random.Generator) -> Path:
    """Write a WAV of any rate, width and number of channels, whose header may lie about it."""
    rate = int(_pick([1, 8, 3999, 4000, 8000, 44_100, 768_000, 768_001, 2**31, 2**32 - 1], rng))
    channels = int(_pick([0, 1, 1, 2, 5, 63, 64, 65, 1024, 65_535], rng))
    bits = int(_pick([0, 1, 8, 12, 16, 24, 32, 64, 65_535], rng))
    tag = int(_pick([1, 1, 1, 3, 6, 7, 0x11, 0x31, 0x55, 0xFFFE, 0xFFFF], rng))
    lies = {
        what: int(_pick(list(_ABSURD), rng))
        for what in ("size", "block", "per_second")
        if rng.random() < 0.3
    }
    data = rng.bytes(int(_pick([0, 1, 7, 100, 5000], rng)))
    content = wav(data, rate=rate, channels=channels, bits=bits, tag=tag, **lies)
    return _write(folder / "header.wav", content)


def _odd_sound(folder: Path, rng: np.random.Generator) -> Path:
    """Write a whole file of samples that nobody recorded."""
    rate = int(_pick([4000, 8000, 22_050, 192_000, 768_000], rng))
    channels = int(_pick([1, 1, 2, 64], rng))
    length = int(_pick([0, 1, 2, 511, 5000], rng))
    samples = {
        "silence": lambda shape: np.zeros(shape),
        "offset": lambda shape: np.full(shape, 0.9),
        "clipped": lambda shape: np.sign(rng.standard_normal(shape)),
        "nyquist": lambda shape: np.ones(shape) * (-1.0) ** np.arange(shape[0])[:, None],
        "faint": lambda shape: np.full(shape, 1e-38),
        "huge": lambda shape: 1e30 * rng.standard_normal(shape),
        "over": lambda shape: 3 * rng.standard_normal(shape),
        "nan": lambda shape: np.where(rng.random(shape) < 0.01, np.nan, 0.1),
        "infinite": lambda shape: np.where(rng.random(shape) < 0.01, -np.inf, 0.1),
        "impulse": lambda shape: np.eye(*shape),
    }
    name = _pick(list(samples), rng)
    data = samples[name]((length, channels)).astype(np.float32).tobytes()
    content = wav(data, rate=rate, channels=channels, bits=32, tag=3)
    return _write(folder / f"{name}.wav", content)


def _long_claim(folder: Path, rng: np.random.Generator) -> Path:
    """Write a kilobyte that says it lasts for hours, or does so for some minutes."""
    match rng.integers(4):
        case 0:
            data = bytearray(valid()["voice.flac"])
            data[21:26] = bytes([data[21] | 0x0F]) + b"\xff\xff\xff\xff"  # samples in all
            return _write(folder / "claim.flac", bytes(data))
        case 1:
            data = bytearray(valid()["voice.opus"])
            last = data.rfind(b"OggS")
            data[last + 6 : last + 14] = (48_000 * 36_000).to_bytes(8, "little")
            return _write(folder / "claim.opus", bytes(data))
        case 2:
            data = bytearray(valid()["voice.m4a"])
            at = data.find(b"mdhd") + 16
            data[at : at + 4] = (RATE * 36_000).to_bytes(4, "big")
            return _write(folder / "claim.m4a", bytes(data))
        case _:
            file = io.BytesIO()
            seconds = int(rng.integers(10, 60))
            soundfile.write(file, np.zeros(4000 * seconds, np.int16), 4000, format="FLAC")
            return _write(folder / "bomb.flac", file.getvalue())


def _no_sound(folder: Path, rng: np.random.Generator) -> Path:
    """Write something else under the name of a sound."""
    contents = {
        "empty": b"",
        "text": b"This is no sound.\n" * 50,
        "playlist": b"#EXTM3U\n#EXTINF:1,x\nfile:///etc/passwd\nhttp://127.0.0.1:9/x.wav\n",
        "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "script": b"#!/bin/sh\ntouch was-run\n",
        "page": b"<html><script>alert(1)</script></html>",
        "picture": png(40, 30),
        "executable": b"\x7fELF\x02\x01\x01" + rng.bytes(500),
        "windows": b"MZ" + rng.bytes(500),
        "pickle": b"cposix\nsystem\n(S'touch was-run'\ntR.",
        "sample dump": b"\xf0\x7e\x00\x01" + rng.bytes(300),
        "noise": rng.bytes(int(rng.integers(1, 3000))),
        "zeros": bytes(3000),
        "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nx\n",
        "archive": _zip({"a.wav": b"x"}),
        "id3": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + rng.bytes(100),
        "gzip": b"\x1f\x8b\x08" + rng.bytes(100),
    }
    name = _pick(list(contents), rng)
    ending = _pick(["wav", "mp3", "flac", "m4a", "webm", "ogg", "aif"], rng)
    return _write(folder / f"{name}.{ending}", contents[name])


def png(width: int, height: int) -> bytes:
    """Return a black picture; a large one is a bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        ends = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
        return ends[0] + kind + data + ends[1]

    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    rows = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def covered(picture: bytes) -> bytes:
    """Return an MP3 that carries a picture."""
    frame = b"\x00image/png\x00\x03\x00" + picture
    body = b"APIC" + struct.pack(">I", len(frame)) + b"\x00\x00" + frame
    sizes = [len(body) >> shift & 0x7F for shift in (21, 14, 7, 0)]
    return b"ID3\x03\x00\x00" + bytes(sizes) + body + valid()["voice.mp3"]


def _with_picture(folder: Path, rng: np.random.Generator) -> Path:
    content = covered(png(int(rng.integers(1, 800)), int(rng.integers(1, 800))))
    return _write(folder / "cover.mp3", damage(content, rng) if rng.random() < 0.7 else content)


# Folders


def odd_names(rng: np.random.Generator) -> list[str]:
    """Return names of files that somebody could give."""
    names = [
        "=cmd|' -C calc'!A0.wav", "@SUM(1+1).wav", "-rf.wav", "+1.wav", "--help.wav",
        "new\nline.wav", "carriage\rreturn.wav", "tab\t.wav", "\x1b[31mred\x07.wav",
        "<svg onload=alert(1)>.wav", "<img src=x onerror=alert(1)>.wav", "$(touch was-run).wav",
        "`touch was-run`.wav", "a;b,c\"d'.wav", "%s%n%x.wav", "{0.__class__}.wav", " .wav",
        "ü-é-ñ-中文-🎤.wav", "\u202egnp.wav", "e\u0301.wav", "a\u200b.wav", "CON.wav", "..wav",
        "x" * 251 + ".wav",
        "ß" * 125 + ".wav", os.fsdecode(b"not-utf8-\xff\xfe.wav"), "*.wav", "?.wav", "a\\b.wav",
        "file:.wav", "03-01-99-01-02-01-12.wav", "1001_DFA_XXX_XX.wav", "UPPER.WAV",
    ]  # fmt: skip
    return [names[i] for i in rng.permutation(len(names))[: rng.integers(1, 8)]]


def _odd_folder(folder: Path, rng: np.random.Generator) -> Path:
    """Write a folder of things that are no plain files, and of files with odd names."""
    good = valid()["voice.wav"]
    _write(folder / GOOD, good)
    for name in odd_names(rng):
        content = good if rng.random() < 0.5 else damage(good, rng)
        _write(folder / name, content)
    for thing in rng.permutation(11)[: rng.integers(1, 8)]:
        match thing:
            case 0:
                os.mkfifo(folder / "pipe.wav")
            case 1:
                (folder / "folder.wav").mkdir()
            case 2:
                (folder / "broken link.wav").symlink_to(folder / "nothing")
            case 3:
                (folder / "loop.wav").symlink_to(folder / "loop.wav")
            case 4:
                (folder / "up").symlink_to(folder)
            case 5:
                (folder / "device.wav").symlink_to("/dev/zero")
            case 6:
                _write(folder / "locked.wav", good).chmod(0)
            case 7:
                deep = folder / "/".join(["d" * 50] * 20)
                deep.mkdir(parents=True)
                _write(deep / "deep.wav", good)
            case 8:
                (folder / "angry" / "sad").mkdir(parents=True)
                _write(folder / "angry" / "sad" / "both.wav", good)
            case 9:
                with socket.socket(socket.AF_UNIX) as door:
                    here = os.getcwd()
                    os.chdir(folder)  # the address of a socket is short
                    try:
                        door.bind("socket.wav")
                    finally:
                        os.chdir(here)
            case 10:
                os.truncate(_write(folder / "sparse.wav", b"RIFF"), 2**33)
    return folder


# Archives


def _zip(members: Files, **info: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in info.items():
                setattr(entry, attribute, value)
            archive.writestr(entry, content)
    return file.getvalue()


def _odd_archive(folder: Path, rng: np.random.Generator) -> Path:
    """Write an archive whose members would like to lie elsewhere, or to be something else."""
    good = valid()["voice.wav"]
    names = [
        "../outside.wav", "../../../../tmp/outside.wav", "/outside.wav", "C:\\outside.wav",
        "..\\outside.wav", "a/../../outside.wav", "./.wav", "inner.zip", "folder.wav/", "a\x01.wav",
        "\\\\host\\share\\x.wav", "x" * 5000 + ".wav", "new\nline.wav", "=cmd.wav", "ü🎤.wav",
        "angry/sad/x.wav", ".hidden.wav",
    ]  # fmt: skip
    members = {GOOD: good}
    for place in rng.permutation(len(names))[: rng.integers(1, 8)]:
        members[names[place]] = good if rng.random() < 0.5 else damage(good, rng)
    data = _zip(members)
    # No member without a ZipInfo: it would bear the time of day.
    with io.BytesIO(data) as file:
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            match rng.integers(7):
                case 0:
                    link = zipfile.ZipInfo("link.wav")
                    link.external_attr = 0o120777 << 16
                    archive.writestr(link, "/etc/passwd")
                case 1:
                    zeros = bytes(2**20 * int(rng.integers(1, 8)))
                    archive.writestr(zipfile.ZipInfo("zeros.wav"), zeros, zipfile.ZIP_DEFLATED)
                case 2:
                    archive.writestr(zipfile.ZipInfo("bomb.zip"), _zip({"x.wav": bytes(2**20)}))
                case 3:
                    archive.writestr(zipfile.ZipInfo("x.wav"), good, zipfile.ZIP_LZMA)
                case 4:
                    archive.comment = rng.bytes(100)
                case 5:
                    with _without_warnings():
                        archive.writestr(zipfile.ZipInfo("twice.wav"), good, zipfile.ZIP_DEFLATED)
                        archive.writestr(
                            zipfile.ZipInfo("twice.wav"), b"other", zipfile.ZIP_DEFLATED
                        )
        data = bytearray(file.getvalue())
    if rng.random() < 0.2:
        return _write(folder / "damaged.zip", damage(bytes(data), rng))
    if rng.random() < 0.3:  # the last entry lies about its size, or says that it is encrypted
        entry = data.rfind(b"PK\x01\x02")
        if data[entry + 46 : entry + 46 + len(GOOD)] != GOOD.encode():
            if rng.random() < 0.5:
                size = int(_pick(list(_ABSURD[:-1]), rng))
                data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
            else:
                data[entry + 8] |= 1
    return _write(folder / "sounds.zip", bytes(data))


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# Lists


def _odd_list(folder: Path, rng: np.random.Generator) -> Path:
    """Write a CSV list of sounds, one of which is there."""
    _write(folder / GOOD, valid()["voice.wav"])
    plain = rng.random() < 0.5  # as a rule one odd cell is enough to refuse a list
    separator = "," if plain else _pick([",", ";", "\t", "|", ",,"], rng)
    head = _pick(
        [
            ["path", "emotion"], ["path", "emotion", "speaker"], ["emotion", "path"], ["path"], [],
            ["path", "emotion", "emotion"], ["", ""], ["clip.wav", "angry"], ["=1+1", "emotion"],
        ],
        rng,
    )  # fmt: skip
    paths = [
        GOOD, "../../../etc/passwd", "/etc/passwd", "/dev/zero", "/dev/stdin", "~/x.wav", "", ".",
        "list.csv", "=cmd|' /C calc'!A0", "a\x00b.wav", "x" * 5000, "x" * 140_000, '"', '"open',
        "a\nb", "..",
        "file:///etc/passwd", "file:///dev/zero", "unknown://x.wav", "memory://x.wav",
        "reference://::memory://x", "zip://x::file:///etc/passwd", "simplecache::file:///etc/passwd",
        "\u202ex.wav", "$HOME/x.wav", "\ufeff", "angry/x.wav",
    ]  # fmt: skip
    words = ["angry", "sad", "", "=cmd", "no emotion", "ANGER", "\x00", "🎤", "x" * 3000]
    rows = [
        [_pick(paths, rng), *(_pick(words, rng) for _ in head[1:])]
        for _ in range(rng.integers(1, 8))
    ]
    if plain:
        head = ["path", "emotion"]
        rows = [[row[0], "sad"] for row in [[GOOD], *rows] if row[0].isprintable() and row[0]]
    end = _pick(["\n", "\r\n", "\r", "\n\n"], rng)
    text = end.join(separator.join(row) for row in [head, *rows])
    encoding = "utf-8-sig" if plain else _pick(["utf-8", "utf-16", "latin-1"], rng)
    data = text.encode(encoding, errors="replace")
    if not plain and rng.random() < 0.4:
        data = damage(data, rng)
    return _write(folder / "list.csv", data)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


#: What a case may be, how often, and what writes it.
_KINDS: tuple[tuple[str, float, Maker], ...] = (
    ("real encoders, then damaged", 50, _damaged),
    ("WAV headers that lie", 12, _lying_header),
    ("samples nobody records", 8, _odd_sound),
    ("claims of hours", 4, _long_claim),
    ("no sound at all", 8, _no_sound),
    ("pictures in a sound", 2, _with_picture),
    ("folders", 4, _odd_folder),
    ("zip archives", 6, _odd_archive),
    ("CSV lists", 6, _odd_list),
)
