"""Every limit has its message, and the table in SECURITY.md; nobody who waits is forgotten."""

import asyncio
import io
import re
import threading
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st
from conftest import ROOT, wav
from pages import run
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from streamlit.runtime.uploaded_file_manager import DeletedFile
from streamlit.testing.v1 import AppTest

import inputs
import limits
from views import hearing, listen, playing, session, turns
from views.session import Recording
from views.text import Page
from views.turns import BusyError, Turns

PATIENCE = 60  # seconds; a busy machine is no failure


def test_each_limit_is_a_number_with_a_comment_and_in_the_table() -> None:
    source = (ROOT / "limits.py").read_text("utf-8")
    names = re.findall(r"^(\w+) = [\d_]+  # \S.*$", source, flags=re.MULTILINE)
    assert names == [name for name in vars(limits) if name.isupper()]
    page = (ROOT / "SECURITY.md").read_text("utf-8")
    assert [name for name in names if f"`{name}` |" not in page] == []


def test_the_server_takes_uploads_up_to_the_same_size() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["maxUploadSize"] == limits.UPLOAD_MB


def test_no_upload_is_written_to_disk() -> None:
    """Streamlit's server reads an upload with this class of Starlette."""
    size = 2 * 2**20
    head = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.wav"\r\n\r\n'

    async def body():
        yield head + bytes(size) + b"\r\n--x--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    upload = asyncio.run(MultiPartParser(headers, body()).parse())["a"]
    assert upload.size == size
    assert isinstance(upload.file._file, io.BytesIO)
    upload.file.close()


# Turns.


def in_turn(queue: Turns, begun: list, name: object, may_end: threading.Event) -> threading.Thread:
    """Take a turn in a thread that waits in it."""

    def work() -> None:
        with queue:
            begun.append(name)
            may_end.wait(PATIENCE)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(condition) -> None:
    for _ in range(PATIENCE * 100):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to that")


def test_some_are_served_at_a_time_and_the_others_in_the_order_they_came() -> None:
    queue, begun = Turns(at_once=2, waiting=9), []
    ends = [threading.Event() for _ in range(6)]
    threads = []
    for name, end in enumerate(ends):
        threads.append(in_turn(queue, begun, name, end))
        until(lambda name=name: queue._taken == name + 1)
    until(lambda: len(begun) == 2)
    for name, end in enumerate(ends):
        assert sorted(begun) == list(range(min(name + 2, 6)))
        end.set()
        until(lambda name=name: len(begun) == min(name + 3, 6))
    for thread in threads:
        thread.join(PATIENCE)


def test_who_comes_when_too_many_wait_is_told_so_and_later_is_served() -> None:
    queue, end = Turns(at_once=1, waiting=2), threading.Event()
    threads = []
    for name in range(3):  # one is served, two wait
        queue.check()
        threads.append(in_turn(queue, [], name, end))
        until(lambda name=name: queue._taken == name + 1)
    with pytest.raises(BusyError, match="try again in a moment"):
        queue.check()
    end.set()
    for thread in threads:
        thread.join(PATIENCE)
    queue.check()


def test_who_is_stopped_in_a_turn_leaves_it_free() -> None:
    class StopException(BaseException):
        """As Streamlit stops a script."""

    queue = Turns(at_once=1, waiting=1)

    def interrupted():
        yield 1
        raise StopException

    for _ in range(3):
        with pytest.raises(StopException):
            list(queue.share(interrupted()))
    with queue:
        pass


def test_long_work_lets_others_in_between() -> None:
    queue, began = Turns(at_once=1, waiting=9), threading.Event()
    order: list[str] = []

    def long():
        for _ in range(3):
            began.set()
            until(lambda: queue._taken > 2)  # two others have come
            order.append("long")
            yield 1

    def short(_) -> None:
        began.wait(PATIENCE)
        with queue:
            order.append("short")

    with ThreadPoolExecutor(3) as pool:
        work = pool.submit(lambda: sum(queue.share(long())))
        list(pool.map(short, range(2)))
        assert work.result(PATIENCE) == 3
    assert order == ["long", "short", "short", "long", "long"]


def test_what_is_shared_is_all_of_it() -> None:
    assert list(Turns(at_once=1, waiting=0).share(iter("abc"))) == ["a", "b", "c"]


# The page.


@pytest.fixture
def page() -> AppTest:
    st.cache_data.clear()
    st.cache_resource.clear()
    return run(AppTest.from_file(str(ROOT / "app.py"), default_timeout=60))


def bring(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.file_uploader(key="upload-0").set_value([(*file, "audio/wav") for file in files])
    return run(page)


def found(page: AppTest) -> list[tuple[str, int, str]]:
    """Name, size and error of what came in."""
    sources = page.session_state["recordings"].values()
    return [(one.name, len(one.content), one.error) for source in sources for one in source]


def test_how_much_may_come_is_said_before_it_comes(page) -> None:
    words = " ".join(caption.value for caption in page.caption)
    said = f"up to {limits.UPLOAD_MB} MB and {limits.RECORDING_HOURS} hours each, "
    assert f"{said}{limits.VISIT_MB} MB in all" in words


def test_what_does_not_fit_into_a_visit_says_so_and_costs_no_other(page, monkeypatch) -> None:
    monkeypatch.setattr(limits, "VISIT_MB", 1)
    big, small = wav(1) + bytes(2**20), wav(1)
    bring(page, ("big.wav", big), ("small.wav", small))
    assert found(page) == [("big.wav", 0, inputs.TOO_MUCH), ("small.wav", len(small), "")]
    assert any(note.startswith("Does not fit") for note in page.dataframe[0].value["Note"])


def test_an_archive_counts_with_what_is_in_it(page, monkeypatch) -> None:
    monkeypatch.setattr(limits, "VISIT_MB", 1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.wav", "b.wav", "c.wav"):
            archive.writestr(name, wav(1) + bytes(400_000))
    bring(page, ("all.zip", packed.getvalue()))
    assert [(name, bool(size), bool(error)) for name, size, error in found(page)] == [
        ("all.zip/a.wav", True, False),
        ("all.zip/b.wav", True, False),
        ("all.zip/c.wav", False, True),
    ]


def test_what_an_archive_holds_in_memory_leaves_others_less_room(page, monkeypatch) -> None:
    monkeypatch.setattr(limits, "VISIT_MB", 1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.wav", wav(1) + bytes(400_000))
    size = len(packed.getvalue())
    page.file_uploader(key="upload-0").set_value(
        [("all.zip", packed.getvalue(), "application/zip")]
    )
    run(page)
    page.file_uploader(key="folder-0").set_value([("b.wav", wav(1) + bytes(400_000), "audio/wav")])
    run(page)
    assert ("b.wav", 0, inputs.TOO_MUCH) in found(page)
    assert page.session_state["archives"] == {"upload-0": size, "folder-0": 0}
    page.button(key="clear").click()
    assert run(page).session_state["archives"] == {}


def test_a_refusal_stays_when_more_is_brought(page, monkeypatch) -> None:
    monkeypatch.setattr(limits, "VISIT_MB", 1)
    bring(page, ("big.wav", wav(1) + bytes(2**20)))
    (refused,) = page.session_state["refused"]
    state = {"upload-0": [DeletedFile(refused), DeletedFile("lost")], "round": 0}
    taken: list[Recording] = []
    monkeypatch.setattr(listen, "take", lambda key, recordings: taken.extend(recordings))
    monkeypatch.setattr(st, "session_state", {**state, "refused": page.session_state["refused"]})
    listen.take_files("upload-0")
    assert [(one.name, one.error) for one in taken] == [("big.wav", inputs.TOO_MUCH)]


def test_an_upload_that_a_server_lost_is_passed_over(monkeypatch) -> None:
    """A tab outlives the server; what it uploaded to the one before is gone."""
    monkeypatch.setattr(listen, "take", lambda key, recordings: taken.append(recordings))
    monkeypatch.setattr(session, "room", lambda source: 2**20)
    taken: list[list[Recording]] = []
    state = {"upload-0": [DeletedFile("1")], "record-0": DeletedFile("2")}
    monkeypatch.setattr(st, "session_state", state)
    listen.take_files("upload-0")
    listen.take_voice("record-0")
    assert taken == [[], []]


def test_where_too_many_wait_the_page_says_so_and_goes_on_when_asked(page, monkeypatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(turns.listening, "_most", -limits.LISTENING)
        bring(page, ("a.wav", wav(1)), ("b.wav", wav(1, seed=1)))
        assert page.warning[-1].value == Page.BUSY
    page.button(key="again").click()
    assert len(run(page).dataframe[0].value) == 2
    assert not [warning for warning in page.warning if warning.value == Page.BUSY]


def test_what_no_visit_needs_any_more_is_forgotten() -> None:
    st.cache_resource.clear()
    known = hearing._remembered()
    mine = known.setdefault(("model", "sound"), hearing.Heard())
    assert known.setdefault(("model", "sound"), hearing.Heard()) is mine
    del mine
    assert ("model", "sound") not in known


def test_no_more_than_some_minutes_are_converted_for_the_player(monkeypatch) -> None:
    monkeypatch.setattr(playing, "as_flac", playing.as_flac.__wrapped__)
    monkeypatch.setattr(limits, "PLAYER_MINUTES", 1 / 60)
    assert playing.playable(Recording("a.AIFF", wav(0.9)))[0]
    assert playing.playable(Recording("b.AIFF", wav(1.1)))[0] is None


@pytest.mark.parametrize(
    ("address", "wish", "allowed"),
    [
        ("localhost", None, True),
        ("127.0.0.1", None, True),
        ("0.0.0.0", None, False),
        (None, None, False),
        ("localhost", "off", False),
        ("localhost", "yes", False),  # when in doubt, no
        ("0.0.0.0", "on", True),
    ],
)
def test_strangers_keep_and_train_nothing(address, wish, allowed, monkeypatch) -> None:
    monkeypatch.setattr(st, "get_option", {"server.address": address}.get)
    monkeypatch.delenv(session.TEACHING, raising=False)
    if wish:
        monkeypatch.setenv(session.TEACHING, wish)
    assert session.teaching() is allowed


def test_a_page_for_strangers_offers_no_teaching(page, monkeypatch) -> None:
    def offered() -> bool:
        labels = [element.label for element in page.main.get("expander")]
        return any("This was" in label for label in labels)

    bring(page, ("a.wav", wav(1)))
    assert offered()
    monkeypatch.setenv(session.TEACHING, "off")
    run(page)
    assert not offered()
    links = [link.proto.label for link in page.get("page_link")]
    assert Page.TEACH not in links
    assert Page.MODEL_PAGE in links
