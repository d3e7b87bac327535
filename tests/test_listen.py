"""The ways in: files, folders, archives, lists, the microphone and examples."""

import re

import pytest
import streamlit as st
from conftest import wav
from pages import StandIn, charts, kept, open_page, packed, run, stand_in, upload, words

import audio
from views import listen, recording


@pytest.fixture
def model(monkeypatch) -> StandIn:
    return stand_in(monkeypatch)


def test_every_kind_of_audio_file_may_be_uploaded(model):
    page = open_page()
    for key in ("upload-0", "folder-0"):
        assert set(page.file_uploader(key=key).allowed_type) >= audio.EXTENSIONS | {".zip", ".csv"}


def test_the_microphone_is_heard(model):
    page = open_page()
    page.audio_input(key="record-0").set_value(("recorded.wav", wav(1), "audio/wav"))
    assert "Your recording" in words(run(page))
    assert "Happy" in words(page)


@pytest.mark.parametrize("kind", listen.EXAMPLES)
def test_an_example_is_heard_by_the_real_model(kind):
    page = open_page()
    page.button(key=f"example-{kind}").click()
    assert "Made-up voice" in words(run(page))
    assert charts(page) == 2
    assert "No emotion" not in words(page)


def test_a_file_that_is_no_sound_gets_a_plain_message(model):
    page = upload(open_page(), notes_wav=b"Remember the milk.")
    assert page.error[0].value.startswith("notes.wav\\: no sound found in it")
    assert not charts(page)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"RIFF\x00\x00\x00\x00WAVE", "no sound found in it"),
        (b"\x1aE\xdf\xa3" + bytes(100), "no sound found in it"),
        (bytes(10_000), "no sound found in it"),
        (wav(1)[:60], ""),  # cut, but there is a little left
    ],
)
def test_bad_files_get_one_plain_message(model, content, reason):
    page = upload(open_page(), bad_wav=content)
    assert [reason in error.value for error in page.error] == ([True] if reason else [])


def test_a_folder_brings_labels(model):
    page = open_page()
    names = (
        "mine/angry/ann/1.wav",
        "mine/sad/1.wav",
        "mine/03-01-05-02-01-01-01.wav",
        "mine/x.wav",
    )
    page.file_uploader(key="folder-0").set_value([(name, wav(1), "audio/wav") for name in names])
    run(page)
    assert [label for _, label, _ in kept(page)] == ["angry", "sad", "angry", None]


def test_an_archive_is_unpacked_and_an_archive_in_it_is_one_line_with_its_reason(model):
    content = packed(sad__a_wav=wav(1), inner_zip=packed(b_wav=wav(1)), notes_txt=b"milk")
    page = upload(open_page(), all_zip=content)
    assert [(name, label) for name, label, _ in kept(page)] == [
        ("all.zip/inner.zip", None),
        ("all.zip/sad/a.wav", "sad"),
    ]
    assert kept(page)[0][2].startswith("is an archive in an archive")


@pytest.mark.parametrize(
    "content",
    [b"text", packed(notes_txt=b"milk"), packed(a_wav=wav(1))[:99]],
    ids=["no archive", "no sound", "cut off"],  # an archive holds the time: no name for a test
)
def test_a_bad_archive_is_one_line_with_its_reason(model, content):
    page = upload(open_page(), bad_zip=content)
    assert len(page.error) == 1
    assert page.error[0].value.startswith("bad.zip\\: ")


def test_a_list_brings_labels(model):
    content = b"path,emotion\nclips/a.wav,fear\nb.wav,joy\n"
    page = upload(open_page(), a_wav=wav(1), b_wav=wav(1), c_wav=wav(1), list_csv=content)
    assert [label for _, label, _ in kept(page)] == ["fearful", "happy", None]


def test_a_list_that_fits_no_recording_says_what_is_missing(model):
    content = b"path,emotion\na.wav,sad\nc.wav,calm\n"
    page = upload(open_page(), list_csv=content)
    assert page.error[0].value.startswith("list.csv\\: gives none of the recordings")
    upload(page, b_wav=wav(1), list_csv=content)
    assert [(name, bool(error)) for name, _, error in kept(page)] == [
        ("b.wav", False),
        ("list.csv", True),
    ]
    upload(page, b_wav=wav(1), a_wav=wav(1), list_csv=content)
    assert kept(page) == [("b.wav", None, ""), ("a.wav", "sad", "")]


def test_a_bad_list_is_one_line_with_its_reason(model):
    page = upload(open_page(), list_csv=b"path,emotion\na.wav,furious\n")
    assert "furious" in page.error[0].value


def test_several_recordings_are_many_and_what_is_removed_is_gone(model):
    page = upload(open_page(), a_wav=wav(1), b_wav=b"text")
    assert len(page.dataframe[0].value) == 2
    upload(page, a_wav=wav(1))
    assert not page.dataframe
    assert "Happy" in words(page)


def test_a_list_may_name_no_file_at_all(model):
    rows = b"path,emotion\n.,sad\na.wav,angry\n"
    page = upload(open_page(), a_wav=wav(1), mine_csv=rows)
    assert "labelled angry" in words(page)


def test_starting_over_forgets_the_recordings_and_empties_the_widgets(model):
    page = upload(open_page(), a_wav=wav(1))
    page.session_state[recording.STOPPED] = {("a model", "a digest")}
    page.button(key="clear").click()
    run(page)
    assert kept(page) == []
    assert page.session_state[recording.STOPPED] == set()
    assert page.file_uploader(key="upload-1").value == []
    assert "The emotions it tells apart" in words(page)


@pytest.mark.parametrize(
    ("address", "given_"),
    [
        ("https://voices.example.org/", True),
        ("http://localhost:8501/teach", True),
        ("http://127.0.0.1:8501", True),
        ("http://[::1]:8501", True),
        (None, True),  # unknown
        ("http://192.0.2.7:8501/", False),
        ("http://localhost.example.org/", False),
    ],
)
def test_no_recorder_is_shown_that_the_browser_would_refuse(model, monkeypatch, address, given_):
    monkeypatch.setattr(type(st.context), "url", property(lambda _: address))
    page = open_page()
    assert bool(page.get("audio_input")) == given_
    assert ("pages that begin with https" in words(page)) != given_


def test_a_file_name_is_text_and_nothing_else(model):
    name = "<img src=x onerror=alert(1)>*a*[b](c)$d$:red[e].wav"
    page = open_page()
    page.file_uploader(key="upload-0").set_value([(name, wav(1), "audio/wav")])
    run(page)
    assert "<img" not in "".join(element.value for element in page.html)
    page.file_uploader(key="upload-0").set_value([(name, b"text", "audio/wav")])
    run(page)
    message = page.error[0].value
    assert re.sub(r"\\(.)", r"\1", message).startswith(f"{name}: no sound found")
    assert not re.search(r"(?<!\\)[<>*\[\]$:]", message)
