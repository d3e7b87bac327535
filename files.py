"""Files that are there whole or not at all, and work that one process at a time may do."""

import contextlib
import errno
import glob
import hashlib
import logging
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np

LOG = logging.getLogger("files")

#: What zipfile was seen to raise on damaged archives; RuntimeError includes NotImplementedError.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


class BusyError(Exception):
    """Another process is at it."""


@contextlib.contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Yield a place beside a file; what is written there becomes the file in one step.

    After an error the file is what it was. A process that is killed leaves the place: see `sweep`.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with named(file):
            yield part
            with part.open("rb+") as stream:  # or a power cut would leave the name without content
                os.fsync(stream.fileno())
            os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def arrays(file: Path, *names: str) -> dict[str, "np.ndarray"]:
    """Return arrays of a file of `numpy.savez`, all where none is named.

    Raises:
        OSError: it cannot be read, or is damaged; the error names the file.
    """
    import numpy as np

    with undamaged(file), file.open("rb") as stream, np.load(stream) as stored:
        return {name: stored[name] for name in names or stored.files}


@contextlib.contextmanager
def undamaged(file: Path) -> Iterator[None]:
    """Say of a file of NumPy that cannot be made sense of that it is damaged, and which it is.

    Raises:
        OSError: it is damaged, or cannot be opened; the error names the file.
    """
    try:
        yield
    except (*ZIP_ERRORS, KeyError) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise OSError(errno.EIO, f"damaged, delete it ({error})", os.fspath(file)) from None


def sha256(file: str | os.PathLike[str]) -> str:
    """Return a digest of what is in a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left of the files of a folder, or of the one with a name.

    Only call it where no other process writes them now.
    """
    for part in folder.glob(f".{glob.escape(name) if name else '*'}.*.part"):
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def named(file: Path) -> Iterator[None]:
    """Put a file's name into errors that lack one, as that of a full disk does."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or os.fspath(file)
        raise


@contextlib.contextmanager
def alone(file: Path, *, wait: str = "") -> Iterator[BinaryIO]:
    """Hold a lock, which ends with its process at the latest.

    Args:
        file: of the lock; it is made, and stays.
        wait: words for the log while another process holds it; without any, that is an error.

    Raises:
        BusyError: another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as stream:
        try:
            _lock(stream, wait=False)
        except (BlockingIOError, PermissionError):
            if not wait:
                raise BusyError(f"another process holds {file}") from None
            LOG.warning(wait)
            _lock(stream, wait=True)
        yield stream


def _lock(stream: BinaryIO, *, wait: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return
            except OSError as error:  # LK_LOCK gives up after ten seconds
                if not wait or error.errno != errno.EDEADLK:
                    raise
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
