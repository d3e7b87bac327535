"""Files, folders, archives, CSV lists, addresses -> the sounds there, with what is known of each.

Nothing is ever unpacked or copied to disk: members of an archive, and what lies at an address
(`s3://`, `gs://`, `https://`; whatever fsspec reads), are read into memory, one at a time.
"""

import contextlib
import functools
import io
import logging
import os
import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO, NamedTuple

import corpora
import files
import limits
from audio import EXTENSIONS, AudioError, printable

_MEMBER_BYTES = limits.MEMBER_MB * 2**20
_PIECE_BYTES = 2**20  # read at a time

LOG = logging.getLogger("inputs")

_DAMAGED = "is damaged in its archive"
TOO_MUCH = (
    f"does not fit into the {limits.VISIT_MB} MB that are kept at a time, archives unpacked; start "
    "over, and bring it with fewer others"
)
_EXPECTED = "files ending in .wav, .flac, .mp3, .m4a, .ogg and the like are looked for"


class Input(NamedTuple):
    """One sound to classify, or the reason why there is none.

    Attributes:
        path: name for people and tables: 'folder/clip.wav', 'archive.zip/folder/clip.wav'.
        file: absolute path or address of the sound, or path of the archive that holds it.
        member: position in the archive, None for a file of its own.
        label: the true emotion, '' where it is not known.
        corpus: the corpus whose naming the file follows ('RAVDESS'), otherwise the folder or list
            that it was found in, as `corpora.scan` would call it, '' if in none.
        error: why there is nothing to read, '' if there is.
    """

    path: str
    file: str
    member: int | None = None
    label: str = ""
    corpus: str = ""
    error: str = ""


def collect(paths: Iterable[str]) -> Iterator[Input]:
    """Find the sounds in files, folders, zip archives, CSV lists and addresses, in the order given.

    Folders are searched with all below, by ending (`audio.EXTENSIONS`), hidden files left out, and
    so are archives, and addresses where they can be listed (not of web servers). Of a CSV list, the
    first column holds addresses or paths relative to the list and the column `emotion`, where there
    is one, the labels. Otherwise a label is read off the name of the file (`corpora.parse_name`) or
    of its folder. What cannot be read is an `Input` with `error`.
    """
    for path in paths:
        ending = os.path.splitext(path)[1].lower()
        if not path:
            yield Input("", "", error="is no path; name a sound or a folder")
        elif is_address(path):
            yield from _from_address(path)
        elif os.path.isdir(path):
            yield from _from_folder(path)
        elif ending == ".zip" and os.path.isfile(path):
            yield from _from_zip(path)
        elif ending == ".csv" and os.path.isfile(path):
            yield from _from_list(path)
        else:
            yield _sound(path)


def is_address(path: str) -> bool:
    """Return whether a path is a URL, which fsspec reads, and not one of this machine."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path, re.IGNORECASE) is not None


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def read(sound: Input) -> str | bytes:
    """Return what `audio.load` takes: the path of a sound, or the bytes of what is no file here.

    Raises:
        AudioError: there is nothing to read.
    """
    if sound.error:
        raise AudioError(sound.error)
    if is_address(sound.file):
        return _download(sound.file)
    if sound.member is None:
        return sound.file
    try:
        archive = _open_archive(sound.file, os.stat(sound.file).st_mtime_ns)
        return _read_member(archive, sound.member)
    except files.ZIP_ERRORS as error:
        raise AudioError(_zip_fault(error, _DAMAGED)) from None


def _zip_fault(error: Exception, damaged: str) -> str:
    """What an error of `files.ZIP_ERRORS` says of an archive."""
    if isinstance(error, PermissionError | FileNotFoundError):
        return f"cannot be read ({error.strerror}); check the archive's name and permissions"
    return f"{damaged} ({error}); pack it again"


def unpack(
    name: str, archive: io.BytesIO, *, most: int = limits.VISIT_MB * 2**20
) -> Iterator[tuple[Input, bytes]]:
    """Unpack the sounds of a zip archive in memory.

    Args:
        name: of the archive, for people.
        archive: its content.
        most: bytes of all its sounds together; those that do not fit get an `error`.

    Yields:
        As `collect` finds it, and its bytes; none where it has an `error`.
    """
    # Each member has a header that begins so; to read them all first would take the memory.
    if (members := archive.getvalue().count(b"PK\1\2")) > limits.ARCHIVE_MEMBERS:
        reason = f"holds {members} files, at most {limits.ARCHIVE_MEMBERS} are read; pack several"
        yield Input(_tabular(name), "", error=reason), b""
        return
    opened: zipfile.ZipFile | None = None
    for sound in _from_zip(name, archive):
        content = b""
        if sound.member is not None and not sound.error:
            try:
                opened = opened or zipfile.ZipFile(archive)
                if opened.infolist()[sound.member].file_size <= most:
                    content = _read_member(opened, sound.member)
                    most -= len(content)
                else:
                    sound = sound._replace(error=TOO_MUCH)
            except files.ZIP_ERRORS as error:
                sound = sound._replace(error=_zip_fault(error, _DAMAGED))
        yield sound, content


def _sound(path: str, *, label: str = "", source: str = "") -> Input:
    """A file that was named by the user. Only its own folder can tell its emotion."""
    place = os.path.abspath(path)
    relative = os.path.join(*PurePath(place).parts[-2:])
    return _input(path, place, relative, label=label, source=source)


def _input(path: str, place: str, relative: str, *, label: str = "", source: str = "") -> Input:
    """What is known of a file.

    Args:
        path, place, relative: its path, its absolute path, and that below what was given.
        label: its emotion, where more than these tell it.
        source: the name of the folder or list that it was found in.
    """
    clip = corpora.parse_name(place)
    label = label or (clip.emotion if clip else _folder_label(relative))
    file = path if is_address(path) else place
    return Input(_tabular(path), file, label=label, corpus=clip.corpus if clip else source)


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
        place = os.path.abspath(parent)
        relative = os.path.relpath(place, root)
        for name in sorted(names):
            if _ending(name) in EXTENSIONS and not name.startswith("."):
                empty = False
                yield _input(
                    os.path.join(parent, name),
                    f"{place}/{name}",
                    f"{relative}/{name}",
                    source=os.path.basename(root),
                )
    for error in unreadable:
        reason = f"the folder cannot be searched ({error.strerror}); check its permissions"
        yield Input(_tabular(str(error.filename)), "", error=reason)
    if empty and not unreadable:
        yield Input(_tabular(folder), "", error=f"no sound in this folder; {_EXPECTED}")


def _from_address(url: str) -> Iterator[Input]:
    if _is_web(url):  # they cannot be listed
        yield _sound(url)
        return
    try:
        with _file_system(url) as (system, root):
            names = system.find(root) if system.isdir(root) else None
    except AudioError as error:
        yield Input(_tabular(url), url, error=str(error))
        return
    if names is None:
        yield _sound(url)
        return
    root = root.rstrip("/")
    above = os.path.dirname(root) if corpora.parse_emotion(os.path.basename(root)) else root
    empty = True
    for name in names:
        inside = name.removeprefix(root)
        if _ending(name) in EXTENSIONS and "/." not in inside:
            empty = False
            yield _input(system.unstrip_protocol(name), name, name.removeprefix(above).lstrip("/"))
    if empty:
        yield Input(_tabular(url), url, error=f"no sound in this folder; {_EXPECTED}")


@contextlib.contextmanager
def _file_system(url: str) -> Iterator[tuple[Any, str]]:
    """The fsspec file system of an address, and the path in it; what fails is an AudioError."""
    if "::" in url:  # fsspec would unpack, or keep a copy on disk
        raise AudioError("is a chain of addresses, expected a single one; name the sound itself")
    try:
        import fsspec

        scheme, _, rest = url.partition("://")
        yield fsspec.core.url_to_fs(f"{scheme.lower()}://{rest}")
    except ImportError as error:
        raise AudioError(
            f"needs a package that is not installed ({error}): pip install it"
        ) from None
    except FileNotFoundError as error:
        # fsspec says so of a server that nobody can reach, too.
        if isinstance(error.__cause__, OSError):
            found = f"cannot be reached ({error.__cause__})"
            raise AudioError(f"{found}; check the address and the network") from None
        raise AudioError("does not exist, expected a sound file; check the address") from None
    except Exception as error:  # every file system has errors of its own
        found = f"{type(error).__name__}: {error}"
        raise AudioError(f"cannot be read ({found}); check the address and your access") from None


def _download(url: str) -> bytes:
    with _file_system(url) as (system, path):
        # Opening a pipe would wait for somebody to write into it.
        if getattr(system, "local_file", False) and not os.path.isfile(path):
            raise FileNotFoundError(path)
        content = io.BytesIO()
        # As a stream: a web server may send all of a file whatever part of it is asked for.
        whole = {"block_size": 0} if _is_web(url) else {}
        with system.open(path, **whole) as stream:
            while content.tell() <= _MEMBER_BYTES and (piece := stream.read(_PIECE_BYTES)):
                content.write(piece)
    if content.tell() > _MEMBER_BYTES:
        raise AudioError(
            f"has more than {limits.MEMBER_MB} MB, the most that is read from an address; copy it "
            "to this machine first"
        )
    return content.getvalue()


def _from_list(file: str) -> Iterator[Input]:
    try:
        for path, emotion, _ in corpora.read_list(file, labelled=False):
            yield _sound(str(path), label=emotion, source=PurePath(file).stem)
    except corpora.CorpusError as error:
        yield Input(_tabular(file), "", error=str(error).removeprefix(file).lstrip(", "))


def _from_zip(file: str, content: BinaryIO | None = None) -> Iterator[Input]:
    """The sounds of an archive; of `content`, where that is given, under the name of `file`."""
    try:
        with zipfile.ZipFile(content or file) as archive:
            members = list(enumerate(archive.infolist()))
    except files.ZIP_ERRORS as error:
        reason = _zip_fault(error, "cannot be read as a zip archive")
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
        sound = _input(path, os.path.abspath(path), name)
        yield sound._replace(file=os.path.abspath(file), member=number, error=_refusal(info))
    if empty:
        yield Input(_tabular(file), "", error=f"no sound in this archive; {_EXPECTED}")


def _read_member(archive: zipfile.ZipFile, number: int) -> bytes:
    content = io.BytesIO()
    with archive.open(archive.infolist()[number]) as file:
        # Never more than was announced: a member that lies about its size fails its checksum.
        # Piece by piece, as in one it would be held twice.
        shutil.copyfileobj(file, content, _PIECE_BYTES)
    return content.getvalue()


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
    if info.file_size > _MEMBER_BYTES:
        return (
            f"has {info.file_size / 2**20:.0f} MB unpacked, at most {limits.MEMBER_MB} MB are read "
            "from an archive; unpack it first"
        )
    return ""


# One archive is read member after member, and opening it anew for each costs more than reading.
@functools.lru_cache(maxsize=1)
def _open_archive(file: str, _modified: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(file)


def read_label(path: str, relative: str) -> str:
    """The emotion that a file's name or, below what the user gave, its folders tell; '' if none."""
    return _input(path, os.path.abspath(path), relative).label


def _folder_label(relative: str) -> str:
    try:
        return corpora.parse_folders(relative) or ""
    except corpora.CorpusError as error:
        LOG.warning("no label: %s", printable(str(error)))
        return ""


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _tabular(path: str) -> str:
    """A path for a table: in UTF-8, which names of files need not be, and on one line."""
    if path.isprintable():
        return path
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs") else c for c in path)
