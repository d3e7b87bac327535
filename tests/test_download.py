import contextlib
import errno
import hashlib
import io
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest
import requests

import download
from corpora import CorpusError, scan
from download import ZENODO, Archive, DownloadError, Source, download_ravdess

SPEECH = "Audio_Speech_Actors_01-24.zip"
SONG = "Audio_Song_Actors_01-24.zip"
SPEECH_CLIP = "Actor_01/03-01-05-01-02-01-01.wav"
SONG_CLIP = "Actor_02/03-02-04-01-02-01-02.wav"


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `bodies` by name and counts requests; of the names in `cut` it sends only half."""

    def __init__(self) -> None:
        self.bodies = {
            SPEECH: zipped({SPEECH_CLIP: b"speech" * 5000}),
            SONG: zipped({SONG_CLIP: b"song" * 5000}),
        }
        self.cut: set[str] = set()
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def source(self) -> Source:
        """The record as published, whatever the server sends later on."""
        archives = [
            Archive(name, len(body), hashlib.md5(body).hexdigest())
            for name, body in self.bodies.items()
        ]
        return Source(f"http://127.0.0.1:{self.server_port}/", tuple(archives))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].strip("/")
        self.server.requests.append(name)
        if name not in self.server.bodies:
            self.send_error(404)
            return
        body = self.server.bodies[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name in self.server.cut else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


CORPUS = [
    f"ravdess/Audio_Song_Actors_01-24/{SONG_CLIP}",
    f"ravdess/Audio_Speech_Actors_01-24/{SPEECH_CLIP}",
]


def test_both_archives_arrive_unzipped_and_nothing_else_is_left(server, tmp_path):
    folder = download_ravdess(tmp_path, source=server.source())
    assert folder == tmp_path / "ravdess"
    assert files(tmp_path) == CORPUS
    assert (tmp_path / CORPUS[1]).read_bytes() == b"speech" * 5000
    assert list(folder.iterdir()) == [p for p in folder.iterdir() if p.name.startswith("Audio_")]
    assert list(scan(tmp_path)["channel"]) == ["song", "speech"]


def test_second_call_downloads_nothing(server, tmp_path):
    download_ravdess(tmp_path, source=server.source())
    download_ravdess(tmp_path, source=server.source())
    assert server.requests == [SPEECH, SONG]


def test_complete_corpus_needs_neither_server_nor_right_to_write(server, tmp_path, monkeypatch):
    download_ravdess(tmp_path, source=server.source())
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("wrote"))
    elsewhere = Source("http://127.0.0.1:1/", server.source().archives)
    assert download_ravdess(tmp_path, source=elsewhere) == tmp_path / "ravdess"


def test_wrong_contents_are_refused_and_not_kept(server, tmp_path):
    source = server.source()
    server.bodies[SPEECH] = server.bodies[SONG]
    with pytest.raises(DownloadError, match=r"Audio_Speech.*MD5.*try again"):
        download_ravdess(tmp_path, source=source)
    assert files(tmp_path) == []


def test_cut_connection_is_reported_and_the_next_call_completes(server, tmp_path):
    server.cut.add(SONG)
    with pytest.raises(DownloadError, match=r"cut during Audio_Song.*try again"):
        download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == CORPUS[1:]
    server.cut.clear()
    download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == CORPUS
    assert server.requests == [SPEECH, SONG, SONG]


def test_server_that_is_not_there(tmp_path):
    source = Source("http://127.0.0.1:1/", (Archive(SPEECH, 10, "0" * 32),))
    with pytest.raises(DownloadError, match="cannot be reached"):
        download_ravdess(tmp_path, source=source)


def test_rest_of_a_killed_download_is_removed_even_if_the_next_one_fails(server, tmp_path):
    source = server.source()
    server.bodies.clear()
    (tmp_path / "ravdess/.download/Audio_Speech_Actors_01-24").mkdir(parents=True)
    (tmp_path / "ravdess/.download/Audio_Speech_Actors_01-24/1.wav").write_bytes(b"half")
    (tmp_path / "ravdess/.download/tmpabc").write_bytes(b"half an archive")
    with pytest.raises(DownloadError):
        download_ravdess(tmp_path, source=source)
    assert files(tmp_path) == []


def test_archive_that_the_server_does_not_have(server, tmp_path):
    source = server.source()
    del server.bodies[SPEECH]
    with pytest.raises(DownloadError, match=r"Audio_Speech.*404"):
        download_ravdess(tmp_path, source=source)


def test_archive_that_is_no_zip(server, tmp_path):
    server.bodies[SPEECH] = b"<html>busy</html>"
    with pytest.raises(DownloadError, match="not a whole ZIP"):
        download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == []


def test_members_with_paths_to_the_outside_stay_inside(server, tmp_path):
    server.bodies = {SPEECH: zipped({"../../../evil.wav": b"x", "/evil2.wav": b"x"})}
    download_ravdess(tmp_path / "data", source=server.source())
    assert all(f.startswith("data/ravdess/Audio_Speech_Actors_01-24/") for f in files(tmp_path))
    assert len(files(tmp_path)) == 2


def test_too_little_room_is_said_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DownloadError, match=r"0\.0 GB left.*make room"):
        download_ravdess(tmp_path, source=server.source())
    assert server.requests == []


class FullDisk(io.BytesIO):
    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_that_fills_up_while_downloading(server, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pooch.downloaders, "open", lambda *_: FullDisk(), raising=False)
        with pytest.raises(DownloadError, match=r"disk of .* is full"):
            download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == []
    download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == CORPUS


def test_disk_that_fills_up_while_unzipping_leaves_no_corpus(server, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", lambda _, target: FullDisk().write(target))
        with pytest.raises(DownloadError, match=r"disk of .* is full"):
            download_ravdess(tmp_path, source=server.source())
    with pytest.raises(CorpusError):
        scan(tmp_path)
    download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == CORPUS
    assert server.requests == [SPEECH, SONG]


@pytest.mark.parametrize("at", ["unzipping", "moving"])
def test_kill_leaves_no_half_corpus_and_the_next_call_resumes(server, tmp_path, monkeypatch, at):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def half_unzipped(archive: zipfile.ZipFile, folder: Path) -> None:
        archive.extract(archive.namelist()[0], folder)
        killed()

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        if at == "unzipping":
            patch.setattr(zipfile.ZipFile, "extractall", half_unzipped)
        else:
            patch.setattr(os, "replace", killed)
        download_ravdess(tmp_path, source=server.source())
        pytest.fail("was not killed")
    assert not (tmp_path / "ravdess/Audio_Speech_Actors_01-24").exists()
    download_ravdess(tmp_path, source=server.source())
    assert files(tmp_path) == CORPUS
    assert server.requests == [SPEECH, SONG]


def test_no_right_to_write(server, tmp_path):
    (tmp_path / "data").write_text("a file where a folder is expected")
    with pytest.raises(DownloadError, match="cannot write to"):
        download_ravdess(tmp_path / "data", source=server.source())


def test_published_record_is_named_in_full():
    assert ZENODO.url == "https://zenodo.org/records/1188976/files/"
    assert [(a.name, a.size) for a in ZENODO.archives] == [(SPEECH, 208468073), (SONG, 225505317)]
    assert all(len(a.md5) == 32 for a in ZENODO.archives)


def test_room_is_made_for_what_is_unzipped(tmp_path, monkeypatch) -> None:
    archive = Archive("a.zip", 1000, "")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3499))
    with pytest.raises(DownloadError, match="make room"):
        download._check_space(tmp_path, [archive])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3500))
    download._check_space(tmp_path, [archive])


def test_a_wrong_clock_is_thought_of(tmp_path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise requests.exceptions.SSLError("certificate has expired")

    monkeypatch.setattr(pooch, "retrieve", fail)
    source = Source("https://x/", (Archive("a.zip", 10, "0" * 32),))
    with pytest.raises(DownloadError, match="set the clock"):
        download_ravdess(tmp_path, source=source)
