import contextlib
import functools
import http.server
import io
import logging
import os
import stat
import struct
import sys
import threading
import zipfile
from pathlib import Path

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpora
import inputs
from audio import AudioError

RAVDESS = "03-01-05-01-01-01-12.wav"  # angry


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"sound")


def pack(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def central_entry(data: bytearray, name: bytes) -> int:
    """Where the entry of a member begins in the central directory."""
    start = data.rindex(name) - 46
    assert data[start : start + 4] == b"PK\x01\x02"
    return start


def labels(path: Path | str) -> list[str]:
    return [found.label for found in inputs.collect([str(path)])]


# ---------------------------------------------------------------------------- files and folders


def test_a_folder_is_searched_recursively_in_order_without_hidden_and_other_files(tmp_path):
    touch(tmp_path, "b.wav", "a.FLAC", "c/d.mp3", ".hidden.wav", ".git/e.wav", "notes.txt", "z.zip")
    found = list(inputs.collect([str(tmp_path)]))
    assert [Path(sound.path).relative_to(tmp_path).as_posix() for sound in found] == [
        "a.FLAC",
        "b.wav",
        "c/d.mp3",
    ]
    assert [inputs.read(sound) for sound in found] == [sound.path for sound in found]


def test_any_file_can_be_named_and_the_order_given_is_kept(tmp_path):
    touch(tmp_path, "b.strange", "a.wav")
    paths = [str(tmp_path / "b.strange"), str(tmp_path / "a.wav"), "missing.wav"]
    assert [found.path for found in inputs.collect(paths)] == paths


def test_links_that_loop_end(tmp_path):
    touch(tmp_path, "a/b.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(list(inputs.collect([str(tmp_path)]))) == 1


def test_an_empty_folder_is_an_error(tmp_path):
    (found,) = inputs.collect([str(tmp_path)])
    assert "no sound" in found.error
    with pytest.raises(AudioError, match="no sound"):
        inputs.read(found)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_searched_is_an_error_beside_the_others(tmp_path):
    touch(tmp_path, "a.wav", "locked/b.wav")
    (tmp_path / "locked").chmod(0)
    try:
        good, bad = inputs.collect([str(tmp_path)])
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert not good.error
    assert "permissions" in bad.error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["pipe.zip", "pipe.csv", "pipe.wav"])
def test_a_named_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert len(list(inputs.collect([str(tmp_path / name)]))) == 1


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("not\udcff-utf8.wav", r"not\udcff-utf8.wav"),
        ("two\r\nlines\t\x1b.wav", r"two\r\nlines\t\x1b.wav"),
        ("naïve\xa0日本\u202f🎤.wav", "naïve\xa0日本\u202f🎤.wav"),
    ],
)
def test_any_name_can_be_written_to_a_table(name, path):
    (found,) = inputs.collect([name])
    assert found.path == path
    assert found.file == os.path.abspath(name)


# ---------------------------------------------------------------------------------------- labels


def test_labels_and_corpora_are_read_off_names(tmp_path):
    touch(tmp_path, RAVDESS, "1001_DFA_HAP_XX.wav", "OAF_back_ps.wav", "DC/sa01.wav", "03a01Wa.wav")
    found = {sound.corpus: sound.label for sound in inputs.collect([str(tmp_path)])}
    assert found == {
        "RAVDESS": "angry",
        "CREMA-D": "happy",
        "TESS": "surprised",
        "SAVEE": "sad",
        "EMO-DB": "angry",
    }


def test_labels_are_read_off_folders_below_the_one_given(tmp_path):
    touch(tmp_path, "happy/mine/Anger/x.wav", "happy/mine/y.wav")
    assert labels(tmp_path / "happy" / "mine") == ["", "angry"]


def test_other_sounds_are_of_the_folder_or_list_that_they_were_found_in(tmp_path):
    touch(tmp_path, "mine/sad/x.wav")
    (tmp_path / "some.csv").write_text("path\nmine/sad/x.wav\n")
    for place, corpus in {"mine": "mine", "mine/sad": "mine", "some.csv": "some"}.items():
        (found,) = inputs.collect([str(tmp_path / place)])
        assert found.corpus == corpus
    for place in ("mine", "mine/sad"):
        assert set(corpora.scan(tmp_path / place).corpus) == {"mine"}
    (found,) = inputs.collect([str(tmp_path / "mine/sad/x.wav")])
    assert found.corpus == ""


def test_the_folder_of_one_emotion_may_be_given_and_so_may_a_file_in_it(tmp_path):
    touch(tmp_path, "sadness/x.wav")
    assert labels(tmp_path / "sadness") == ["sad"]
    assert labels(tmp_path / "sadness" / "x.wav") == ["sad"]


def test_only_its_own_folder_labels_a_file(tmp_path):
    touch(tmp_path, "joy/recordings/x.wav")
    assert labels(tmp_path / "joy" / "recordings" / "x.wav") == [""]


def test_folders_of_two_emotions_give_no_label_and_a_word_about_it(tmp_path, caplog):
    touch(tmp_path, "sad/angry/x.wav")
    with caplog.at_level(logging.WARNING):
        assert labels(tmp_path) == [""]
    assert "angry and sad" in caplog.text


# ------------------------------------------------------------------------------------- CSV lists


def test_a_list_has_paths_relative_to_itself_and_labels(tmp_path):
    touch(tmp_path, "lists/a.wav")
    file = tmp_path / "lists" / "mine.CSV"
    file.write_text(f"\ufeffpath,emotion\na.wav,Anger\n{RAVDESS},sad\n/other/{RAVDESS},\n", "utf-8")
    found = list(inputs.collect([str(file)]))
    assert [sound.label for sound in found] == ["angry", "sad", "angry"]
    assert [Path(sound.file) for sound in found] == [
        tmp_path / "lists" / "a.wav",
        tmp_path / "lists" / RAVDESS,
        Path("/other") / RAVDESS,
    ]


def test_a_list_needs_no_labels(tmp_path):
    (tmp_path / "mine.csv").write_text("file;remark\na.wav;first\nb.wav;second\n")
    assert labels(tmp_path / "mine.csv") == ["", ""]


@pytest.mark.parametrize("text", ["", "path\n", "path,emotion\na.wav,bored\n", "\0\0,\n1\n"])
def test_a_list_that_cannot_be_used_is_one_error(tmp_path, text):
    (tmp_path / "bad.csv").write_text(text)
    (found,) = inputs.collect([str(tmp_path / "bad.csv")])
    assert found.error
    assert "\n" not in found.error


# ------------------------------------------------------------------------------------- addresses


@pytest.fixture
def server(tmp_path):
    """The address of a web server that serves tmp_path."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_a_file_or_where_it_can_be_listed_a_folder(tmp_path):
    touch(tmp_path, "b.wav", "angry/a.FLAC", ".git/e.wav", "calm/.hidden.wav", "notes.txt")
    found = list(inputs.collect([tmp_path.as_uri(), (tmp_path / "b.wav").as_uri()]))
    names = ("angry/a.FLAC", "b.wav", "b.wav")
    assert [sound.path for sound in found] == [(tmp_path / name).as_uri() for name in names]
    assert [sound.label for sound in found] == ["angry", "", ""]
    assert [inputs.read(sound) for sound in found] == [b"sound"] * 3
    assert labels(f"{tmp_path.as_uri()}/angry") == ["angry"]


def test_a_sound_of_a_web_server_is_read_and_named_by_its_address(tmp_path, server):
    touch(tmp_path, f"joy/{RAVDESS}")
    (found,) = inputs.collect([f"{server}/joy/{RAVDESS}"])
    assert (found.path, found.label) == (f"{server}/joy/{RAVDESS}", "angry")
    assert inputs.read(found) == b"sound"


def test_no_more_than_the_limit_is_read_of_a_web_server_that_sends_everything(monkeypatch):
    sent = []

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(2**30))
            self.end_headers()
            with contextlib.suppress(OSError):
                while sum(sent) < 2**30:
                    sent.append(self.wfile.write(bytes(2**16)))

        def log_message(self, *_):
            pass

    monkeypatch.setattr(inputs, "_MEMBER_BYTES", 2**17)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as endless:
        endless.daemon_threads = True
        threading.Thread(target=endless.serve_forever, daemon=True).start()
        (found,) = inputs.collect([f"http://127.0.0.1:{endless.server_port}/a.wav"])
        with pytest.raises(AudioError, match="has more than"):
            inputs.read(found)
        endless.shutdown()
    assert sum(sent) < 2**28  # what waits in buffers on the way


def test_an_uploaded_archive_of_too_many_members_is_refused_before_they_are_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(inputs.limits, "ARCHIVE_MEMBERS", 2)
    few = pack(tmp_path / "few.zip", dict.fromkeys(("a.wav", "b.wav"), b"sound"))
    many = pack(tmp_path / "many.zip", dict.fromkeys(("a.wav", "b.wav", "c.txt"), b"sound"))
    assert [c for _, c in inputs.unpack("few.zip", io.BytesIO(few.read_bytes()))] == [b"sound"] * 2
    monkeypatch.setattr(inputs.zipfile, "ZipFile", None)
    ((found, content),) = inputs.unpack("many.zip", io.BytesIO(many.read_bytes()))
    assert "holds 3 files, at most 2 are read" in found.error
    assert content == b""


def test_an_archive_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    pack(tmp_path / "a.zip", {"a.wav": b"sound"})
    (sound,) = inputs.collect([str(tmp_path / "a.zip")])
    (tmp_path / "a.zip").unlink()
    with pytest.raises(AudioError, match=r"cannot be read \(No such file"):
        inputs.read(sound)


def test_a_list_of_addresses_without_a_header_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text("https://a.b/1.wav?key=1\nhttps://a.b/2.wav?key=2\n")
    (found,) = inputs.collect([str(tmp_path / "mine.csv")])
    assert "a line of column names is expected" in found.error


def test_a_list_may_leave_speakers_out_where_only_sounds_are_asked_for(tmp_path):
    (tmp_path / "mine.csv").write_text("path,speaker\na.wav,bob\nb.wav,\n")
    assert [s.error for s in inputs.collect([str(tmp_path / "mine.csv")])] == ["", ""]


def test_a_list_may_hold_addresses(tmp_path, server):
    touch(tmp_path, "a.wav")
    (tmp_path / "mine.csv").write_text(f"path,emotion\n{server}/a.wav,calm\na.wav,sad\n")
    far, near = inputs.collect([str(tmp_path / "mine.csv")])
    assert (far.path, far.label) == (f"{server}/a.wav", "calm")
    assert inputs.read(far) == b"sound"
    assert inputs.read(near) == str(tmp_path / "a.wav")


def test_what_cannot_be_had_from_an_address_is_an_error(tmp_path, server, monkeypatch):
    touch(tmp_path, "big.wav", "empty/notes.txt")
    monkeypatch.setattr(inputs, "_MEMBER_BYTES", 4)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    for address, message in {
        f"{server}/missing.wav": "does not exist",
        f"{server}/big.wav": "has more than",
        (tmp_path / "missing.wav").as_uri(): "does not exist",
        (tmp_path / "empty").as_uri(): "no sound in this folder",
        "s3://bucket/a.wav": "not installed.*s3fs",
        "strange://bucket/a.wav": "strange",
        "http://127.0.0.1:9/a.wav": "cannot be reached .*check the address and the network",
    }.items():
        (found,) = inputs.collect([address])
        assert found.path == address
        with pytest.raises(AudioError, match=message):
            inputs.read(found)


@pytest.mark.parametrize("chain", ["zip://a.wav::file", "filecache://::file"])
def test_a_chain_of_addresses_is_refused(tmp_path, chain):
    touch(tmp_path, "a.wav")
    (found,) = inputs.collect([f"{chain}://{tmp_path}/a.wav"])
    assert "chain of addresses" in found.error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_the_address_of_a_pipe_does_not_wait_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (found,) = inputs.collect([(tmp_path / "pipe.wav").as_uri()])
    with pytest.raises(AudioError, match="does not exist"):
        inputs.read(found)


def test_without_fsspec_addresses_are_errors(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    (found,) = inputs.collect(["s3://bucket/a.wav"])
    assert "fsspec" in found.error
    assert "pip install" in found.error


# -------------------------------------------------------------------------------------- archives


def test_members_are_read_into_memory_and_nothing_is_unpacked(tmp_path):
    members = {"b/x.wav": b"one", RAVDESS: b"two", "../up.wav": b"three", "/abs.wav": b"four"}
    archive = pack(tmp_path / "sounds.ZIP", members | {"notes.txt": b"", "__MACOSX/._x.wav": b""})
    found = list(inputs.collect([str(archive)]))
    read = {sound.path.removeprefix(f"{archive}/"): inputs.read(sound) for sound in found}
    assert read == members
    assert [sound.label for sound in found if sound.corpus] == ["angry"]
    assert [path.name for path in tmp_path.rglob("*")] == ["sounds.ZIP"]
    assert not (tmp_path.parent / "up.wav").exists()


def test_folders_in_an_archive_label_its_members(tmp_path):
    archive = pack(tmp_path / "sounds.zip", {"happy/x.wav": b"", "y.wav": b""})
    assert labels(archive) == ["happy", ""]


def test_members_of_one_name_are_each_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("x.wav", b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.wav", b"second")
    found = inputs.collect([str(tmp_path / "twice.zip")])
    assert [inputs.read(sound) for sound in found] == [b"first", b"second"]


def test_an_archive_that_was_replaced_is_read_anew(tmp_path):
    archive = pack(tmp_path / "sounds.zip", {"x.wav": b"first"})
    assert inputs.read(*inputs.collect([str(archive)])) == b"first"
    pack(archive, {"x.wav": b"second"})
    os.utime(archive, ns=(1, 1))
    assert inputs.read(*inputs.collect([str(archive)])) == b"second"


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"no archive at all"])
def test_an_archive_without_sound_is_one_error(tmp_path, data):
    (tmp_path / "bad.zip").write_bytes(data)
    (found,) = inputs.collect([str(tmp_path / "bad.zip")])
    assert found.error


def test_a_member_without_a_name_is_no_sound(tmp_path):
    archive = pack(tmp_path / "sounds.zip", {"x.wav": b"sound"})
    data = bytearray(archive.read_bytes())
    data[central_entry(data, b"x.wav") + 46] = 0  # where zipfile ends a name
    archive.write_bytes(data)
    (found,) = inputs.collect([str(archive)])
    assert "no sound" in found.error


def test_an_archive_in_an_archive_is_an_error_beside_the_others(tmp_path):
    archive = pack(tmp_path / "outer.zip", {"a.wav": b"sound", "inner.zip": b"PK"})
    good, bad = inputs.collect([str(archive)])
    assert inputs.read(good) == b"sound"
    assert "archive in an archive" in bad.error


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    link = zipfile.ZipInfo("link.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (found,) = inputs.collect([str(tmp_path / "links.zip")])
    assert "is a link" in found.error


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_memory_is_not_bounded_are_refused(tmp_path, method):
    archive = pack(tmp_path / "sounds.zip", {"x.wav": bytes(1000)}, method)
    (found,) = inputs.collect([str(archive)])
    assert "expected deflate" in found.error


def test_an_encrypted_member_is_an_error(tmp_path):
    archive = pack(tmp_path / "sounds.zip", {"x.wav": b"secret"})
    data = bytearray(archive.read_bytes())
    data[central_entry(data, b"x.wav") + 8] |= 1
    archive.write_bytes(data)
    (found,) = inputs.collect([str(archive)])
    assert "encrypted" in found.error


def test_a_bomb_is_refused_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_MEMBER_BYTES", 10_000)
    archive = pack(tmp_path / "bomb.zip", {"a.wav": bytes(10_000), "b.wav": bytes(10_001)})
    good, bad = inputs.collect([str(archive)])
    assert inputs.read(good) == bytes(10_000)
    assert "unpacked" in bad.error


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path):
    archive = pack(tmp_path / "bomb.zip", {"x.wav": bytes(50 * 2**20)})
    data = bytearray(archive.read_bytes())
    struct.pack_into("<I", data, central_entry(data, b"x.wav") + 24, 1000)
    archive.write_bytes(data)
    (found,) = inputs.collect([str(archive)])
    with pytest.raises(AudioError, match="damaged"):
        inputs.read(found)


@given(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=8), st.integers(0))
def test_a_damaged_archive_gives_sounds_or_errors(tmp_path_factory, flips, cut):
    archive = tmp_path_factory.mktemp("damaged") / "sounds.zip"
    pack(archive, {"a.wav": bytes(range(250)), "b/c.wav": bytes(500)})
    data = bytearray(archive.read_bytes())
    for position, value in flips:
        data[position % len(data)] = value
    archive.write_bytes(data[: len(data) - cut % len(data)] if cut % 2 else data)
    found = list(inputs.collect([str(archive)]))
    assert found
    for sound in found:
        with contextlib.suppress(AudioError):
            assert isinstance(inputs.read(sound), bytes)


def unpacked(archive: Path, **options: int) -> list[tuple[str, bytes, str]]:
    """Path, content and error of what an archive in memory holds."""
    found = inputs.unpack("all.zip", io.BytesIO(archive.read_bytes()), **options)
    return [(sound.path, content, sound.error) for sound, content in found]


def test_an_archive_in_memory_is_unpacked_up_to_a_limit(tmp_path):
    members = {"a.wav": bytes(1000), "b.wav": bytes(1000), "c.wav": bytes(1000), "d.zip": b""}
    found = unpacked(pack(tmp_path / "all.zip", members), most=2500)
    assert [path for path, _, _ in found] == [f"all.zip/{name}" for name in members]
    assert [len(content) for _, content, _ in found] == [1000, 1000, 0, 0]
    assert [error[:14] for _, _, error in found] == ["", "", "does not fit i", "is an archive "]


def test_a_member_that_is_damaged_is_one_error_and_the_others_are_read(tmp_path):
    archive = pack(tmp_path / "all.zip", {"a.wav": bytes(range(200)), "b.wav": b"sound"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"a.wav") + 20] ^= 0xFF
    archive.write_bytes(data)
    (_, _, error), good = unpacked(archive)
    assert error.startswith("is damaged in its archive")
    assert good == ("all.zip/b.wav", b"sound", "")


def test_a_folder_that_refuses_is_an_error_beside_the_others_whoever_asks(tmp_path, monkeypatch):
    touch(tmp_path, "a.wav", "locked/b.wav")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    good, bad = inputs.collect([str(tmp_path)])
    assert not good.error
    assert "permissions" in bad.error


def test_members_come_in_the_order_of_their_names(tmp_path):
    archive = pack(tmp_path / "sounds.zip", {"b.wav": b"2", "a/c.wav": b"3", "a.wav": b"1"})
    found = [inputs.read(sound) for sound in inputs.collect([str(archive)])]
    assert found == [b"1", b"3", b"2"]


def test_the_folders_of_an_archive_label_speakers_below_them(tmp_path):
    assert labels(pack(tmp_path / "sounds.zip", {"happy/alice/x.wav": b""})) == ["happy"]


def test_the_scheme_of_an_address_may_be_in_capitals(tmp_path):
    touch(tmp_path, "a.wav")
    (found,) = inputs.collect([(tmp_path / "a.wav").as_uri().replace("file", "FILE")])
    assert inputs.read(found) == b"sound"


def test_every_kind_of_sound_that_is_decoded_is_looked_for(tmp_path):
    names = list(hostile.valid())
    touch(tmp_path, *names)
    assert len(list(inputs.collect([str(tmp_path)]))) == len(names)


def test_a_list_without_a_header_loses_no_clip(tmp_path):
    (tmp_path / "mine.csv").write_text("a.wav,sad\nb.wav,sad\n")
    (found,) = inputs.collect([str(tmp_path / "mine.csv")])
    assert "a line of column names is expected" in found.error
