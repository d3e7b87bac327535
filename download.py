"""Bring RAVDESS from its Zenodo record into the data folder."""

import errno
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path


class DownloadError(Exception):
    """The download failed; the message says in one line why and what to do."""


@dataclass(frozen=True)
class Archive:
    """A file of a Zenodo record: its name, size in bytes and MD5 as published."""

    name: str
    size: int
    md5: str


@dataclass(frozen=True)
class Source:
    """The address of a record's files, ending in '/', and its archives."""

    url: str
    archives: tuple[Archive, ...]


ZENODO = Source(
    "https://zenodo.org/records/1188976/files/",
    (
        Archive("Audio_Speech_Actors_01-24.zip", 208_468_073, "bc696df654c87fed845eb13823edef8a"),
        Archive("Audio_Song_Actors_01-24.zip", 225_505_317, "5411230427d67a21e18aa4d466e6d1b9"),
    ),
)


def download_ravdess(data_dir: str | os.PathLike[str], *, source: Source = ZENODO) -> Path:
    """Download and unzip RAVDESS speech and song (434 MB, 1 GB unzipped).

    An archive is checked against its published MD5, unzipped beside, then moved to its place in one
    step: a folder with the name of an archive is complete, and never fetched again. An archive is
    deleted once unzipped. After an interruption call again: only what is not finished is repeated.

    Returns:
        The folder `data_dir/ravdess`, with one folder per archive in it.

    Raises:
        DownloadError: no connection, a cut one, wrong contents, no room or no right to write.
    """
    folder = Path(data_dir, "ravdess")
    # Hidden, so that no search for clips looks into it.
    unfinished = folder / ".download"
    missing = [a for a in source.archives if not (folder / Path(a.name).stem).is_dir()]
    try:
        if missing:
            unfinished.mkdir(parents=True, exist_ok=True)
            _keep_only(unfinished, [archive.name for archive in missing])
            _check_space(folder, missing)
        for archive in missing:
            _fetch(source.url, archive, unfinished)
            _unzip(unfinished / archive.name, folder / Path(archive.name).stem)
        shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"the disk of {folder} is full: make room, then try again"
            ) from error
        raise DownloadError(f"cannot write to {folder}: {error}") from error
    return folder


def _check_space(folder: Path, archives: list[Archive]) -> None:
    needed = sum(archive.size for archive in archives) * 7 // 2  # unzipped they grow 2.5-fold
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadError(
            f"the disk of {folder} has {free / 1e9:.1f} GB left, RAVDESS needs "
            f"{needed / 1e9:.1f} GB: make room, or put a link to a larger disk in its place"
        )


def _keep_only(folder: Path, names: list[str]) -> None:
    """Remove what an interrupted run left, but for finished archives."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in names:
            path.unlink()


def _fetch(url: str, archive: Archive, folder: Path) -> None:
    """Download one archive, unless it is there and has the right MD5."""
    import pooch
    import requests
    from tqdm import tqdm

    pooch.get_logger().setLevel("ERROR")
    again = "try again later (what is finished is kept)"
    try:
        with tqdm(desc=archive.name, total=archive.size, unit="B", unit_scale=True) as bar:
            pooch.retrieve(
                f"{url}{archive.name}?download=1",
                known_hash=f"md5:{archive.md5}",
                fname=archive.name,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16),
            )
    except requests.HTTPError as error:
        raise DownloadError(f"{archive.name} is not to be had, {error}: {again}") from error
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            f"{url} cannot prove who it is: set the clock of this machine, check the network and "
            f"{again}"
        ) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise DownloadError(f"{url} cannot be reached: check the network and {again}") from error
    except requests.RequestException as error:
        raise DownloadError(f"the connection was cut during {archive.name}: {again}") from error
    except ValueError as error:
        raise DownloadError(
            f"{archive.name} arrived with other contents than published (MD5): {again}"
        ) from error


def _unzip(file: Path, target: Path) -> None:
    unzipped = file.with_suffix("")
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(unzipped)  # keeps every member inside, whatever its name
    except zipfile.BadZipFile as error:
        file.unlink()
        raise DownloadError(f"{file.name} is not a whole ZIP archive: try again later") from error
    os.replace(unzipped, target)
    file.unlink()
