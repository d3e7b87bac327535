"""Files, folders, zip archives and CSV lists -> the sounds in them, with what is known of each.

Nothing is ever unpacked to disk: members of an archive are read into memory, one at a time.
"""

import functools
import logging
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import NamedTuple

import corpora
from audio import EXTENSIONS, AudioError

MAX_MEMBER_BYTES = 256 * 2**20  # largest unpacked member of an archive: 20 minutes of 16-bit WAV

LOG = logging.getLogger("inputs")

_EXPECTED = "files ending in .wav, .flac, .mp3, .m4a, .ogg and the like are looked for"
# What zipfile was seen to raise on damaged archives; RuntimeError includes NotImplementedError.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


class Input(NamedTuple):
    """One sound to classify, or the reason why there is none.

    Attributes:
        path: name for people and tables: 'folder/clip.wav', 'archive.zip/folder/clip.wav'.
        file: path of the sound, or of the archive that holds it.
        member: position in the archive, None for a file of its own.
        label: the true emotion, '' where it is not known.
        corpus: the corpus whose naming the file follows ('RAVDESS'), '' if none.
        error: why there is nothing to read, '' if there is.
    """

    path: str
    file: str
    member: int | None = None
    label: str = ""
    corpus: str = ""
    error: str = ""


def collect(paths: Iterable[str]) -> list[Input]:
    """Find the sounds in files, folders, zip archives and CSV lists, in the order given.

    Folders are searched with all below, by ending (`audio.EXTENSIONS`), hidden files left out, and
    so are archives. Of a CSV list, the first column holds paths relative to the list and the
    column `emotion`, where there is one, the labels. Otherwise a label is read off the name of the
    file (`corpora.parse_name`) or of its folder. What cannot be read is an `Input` with `error`.
    """
    found: list[Input] = []
    for path in paths:
        ending = os.path.splitext(path)[1].lower()
        if os.path.isdir(path):
            found += _from_folder(path)
        elif ending == ".zip" and os.path.isfile(path):
            found += _from_zip(path)
        elif ending == ".csv" and os.path.isfile(path):
            found += _from_list(path)
        else:
            found.append(_sound(path))
    return found


def read(sound: Input) -> str | bytes:
    """Return what `audio.load` takes: the path of a sound, or the bytes of a member of an archive.

    Raises:
        AudioError: there is nothing to read.
    """
    if sound.error:
        raise AudioError(sound.error)
    if sound.member is None:
        return sound.file
    try:
        archive = _open_archive(sound.file, os.stat(sound.file).st_mtime_ns)
        info = archive.infolist()[sound.member]
        with archive.open(info) as file:
            # Never more than was announced: a member that lies about its size fails its checksum.
            return file.read(info.file_size)
    except _ZIP_ERRORS as error:
        raise AudioError(f"is damaged in its archive ({error}); pack it again") from None


def printable(text: str) -> str:
    """Escape what a terminal would not print but obey, such as colours and new lines."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _sound(path: str, *, label: str = "") -> Input:
    """A file that was named by the user. Only its own folder can tell its emotion."""
    label = label or _label(path, os.path.join(*PurePath(os.path.abspath(path)).parts[-2:]))
    return Input(_tabular(path), path, label=label, corpus=_corpus(path))


def _from_folder(folder: str) -> Iterator[Input]:
    root = os.path.abspath(folder)
    if corpora.parse_emotion(os.path.basename(root)):  # the folder of a single emotion was given
        root = os.path.dirname(root)
    unreadable: list[OSError] = []
    visited, empty = set(), True
    for parent, folders, names in os.walk(folder, onerror=unreadable.append, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # links that loop
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _ending(name) in EXTENSIONS and not name.startswith("."):
                path = os.path.join(parent, name)
                label = _label(path, os.path.relpath(os.path.abspath(path), root))
                yield Input(_tabular(path), path, label=label, corpus=_corpus(path))
                empty = False
    for error in unreadable:
        reason = f"the folder cannot be searched ({error.strerror}); check its permissions"
        yield Input(_tabular(str(error.filename)), "", error=reason)
    if empty and not unreadable:
        yield Input(_tabular(folder), "", error=f"no sound in this folder; {_EXPECTED}")


def _from_list(file: str) -> Iterator[Input]:
    try:
        for path, emotion, _ in corpora.read_list(file, labelled=False):
            yield _sound(str(path), label=emotion)
    except corpora.CorpusError as error:
        yield Input(_tabular(file), "", error=str(error).removeprefix(file).lstrip(", "))


def _from_zip(file: str) -> Iterator[Input]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = list(enumerate(archive.infolist()))
    except _ZIP_ERRORS as error:
        reason = f"cannot be read as a zip archive ({error}); pack it again"
        yield Input(_tabular(file), "", error=reason)
        return
    empty = True
    for number, info in sorted(members, key=lambda member: member[1].filename):
        name = info.filename
        hidden = any(p.startswith(".") and p.strip(".") for p in PurePath(name).parts)
        if hidden or _ending(name) not in EXTENSIONS | {".zip"}:
            continue
        empty = False
        path = f"{file}/{name}"
        yield Input(
            _tabular(path),
            file,
            number,
            label=_label(path, name),
            corpus=_corpus(path),
            error=_refusal(info),
        )
    if empty:
        yield Input(_tabular(file), "", error=f"no sound in this archive; {_EXPECTED}")


def _refusal(info: zipfile.ZipInfo) -> str:
    """Why a member of an archive is not read, '' if it is."""
    if _ending(info.filename) == ".zip":
        return "is an archive in an archive; unpack the outer one first"
    if info.flag_bits & 1:
        return "is encrypted; unpack the archive with its password first"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link, expected a sound; pack the file that it points to"
    # zipfile bounds the memory that deflate may take, but not that of the other methods.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {info.compress_type}, expected deflate; pack it as usual"
    if info.file_size > MAX_MEMBER_BYTES:
        return (
            f"has {info.file_size / 2**20:.0f} MB unpacked, at most {MAX_MEMBER_BYTES / 2**20:.0f} "
            "MB are read from an archive; unpack it first"
        )
    return ""


# One archive is read member after member, and opening it anew for each costs more than reading.
@functools.lru_cache(maxsize=1)
def _open_archive(file: str, _modified: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(file)


def _label(path: str, relative: str) -> str:
    """The emotion that a file's name or, below what the user gave, its folders tell; '' if none."""
    clip = corpora.parse_name(os.path.abspath(path))
    if clip:
        return clip.emotion
    try:
        return corpora.parse_folders(relative) or ""
    except corpora.CorpusError as error:
        LOG.warning("no label: %s", printable(str(error)))
        return ""


def _corpus(path: str) -> str:
    clip = corpora.parse_name(os.path.abspath(path))
    return clip.corpus if clip else ""


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _tabular(path: str) -> str:
    """A path for a table: in UTF-8, which names of files need not be, and on one line."""
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs") else c for c in path)
