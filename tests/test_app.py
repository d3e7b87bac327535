"""The page: the shell, the ways in, one recording and its course. Many, voices, ... stand apart."""

import hashlib
import html
import io
import re
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import streamlit as st
from conftest import ROOT, speechlike
from hypothesis import given
from hypothesis import strategies as some
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

import audio
import classifier
import limits
from classifier import ModelError, Prediction, Segment
from corpora import EMOTIONS
from views import course, listen, playing, session, text
from views.course import Stretch
from views.session import Recording
from views.text import Page


def prediction(emotion: str, uncertain: bool, probabilities: list[float], warning: str = ""):
    table = dict(zip(EMOTIONS, probabilities, strict=True))
    return Prediction(emotion, table[emotion], uncertain, table, warning)


HAPPY = prediction("happy", False, [0, 0, 0, 0, 0.8, 0, 0.05, 0.15])
DOUBTFUL = prediction("sad", True, [0.1, 0.25, 0.1, 0.1, 0.05, 0.1, 0.3, 0], "too short: 0.3 s")
SAD = prediction("sad", False, [0, 0.2, 0, 0, 0, 0, 0.7, 0.1])
NOTHING = Prediction(None, 0.0, True, dict.fromkeys(EMOTIONS, 0.0), "no voice found")
SPEAKER = {
    "protocol": "speaker",
    "test": "RAVDESS speech",
    "emotions": list(EMOTIONS),
    "uar": 0.614,
    "uar_interval": [0.58, 0.64],
}
RANDOM = SPEAKER | {"protocol": "random", "uar": 0.847}


class StandIn:
    """In the place of `EmotionClassifier`: decodes for real, and says what a test wants."""

    def __init__(self):
        self.labels = EMOTIONS
        self.manifest = {
            "labels": list(EMOTIONS),
            "network": "frames",
            "corpora": {"RAVDESS": {}},
            "metrics": [],
            "files": {},
        }
        self.says = {}  # length of the recording in tenths of a second → Prediction
        self.loaded = []
        self.classified = 0
        self.starts = []  # of the segments, in seconds from where it began to listen
        self.adapted = None  # to a known voice

    def adapted_to(self, references):
        self.adapted = StandIn()
        self.adapted.says = {10: SAD}
        return self.adapted

    def load(self, folder):
        self.loaded.append(Path(folder).name)
        self.manifest["files"] = {"network.keras": f"SHA-256 of {self.loaded}"}
        return self

    def classify_waveform(self, waveform):
        self.classified += 1
        return self.says.get(round(10 * len(waveform) / audio.SAMPLE_RATE), HAPPY)

    def stream_segments(self, pieces):
        """Happy, then a pause, then sad, and so on, in windows that come as the pieces do."""
        self.classified += 1
        place, heard = 0.0, 0.0
        for piece in pieces:
            heard += len(piece) / audio.SAMPLE_RATE
            while place + 3 <= heard + 0.01:
                self.starts.append(place)
                said = (HAPPY, HAPPY, NOTHING, NOTHING, SAD, SAD)[int(place / 1.5) % 6]
                yield Segment(place, place + 3, said, level=0.1)
                place += 1.5

    def summarise(self, segments):
        return segments[0].prediction


@pytest.fixture
def model(monkeypatch) -> StandIn:
    st.cache_data.clear()
    st.cache_resource.clear()
    stand_in = StandIn()
    monkeypatch.setattr(classifier.EmotionClassifier, "load", stand_in.load)
    return stand_in


def open_page(**address: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params.update(address)
    return run(page)


def run(page: AppTest) -> AppTest:
    page.run()
    assert not page.exception
    return page


def upload(page: AppTest, **files: bytes) -> AppTest:
    uploaded = [(name.replace("_", "."), content, "audio/wav") for name, content in files.items()]
    page.file_uploader(key="upload-0").set_value(uploaded)
    return run(page)


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speechlike(seconds), audio.SAMPLE_RATE, format="WAV")
    return file.getvalue()


def packed(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), member)
    return content.getvalue()


def words(page: AppTest) -> str:
    """All that a person reads, without markup."""
    parts = [element.value for element in [*page.markdown, *page.caption, *page.html]]
    return html.unescape(re.sub(r"<[^>]*>", " ", "\n".join(parts)))


def charts(page: AppTest) -> int:
    return len(page.get("vega_lite_chart"))


def kept(page: AppTest) -> list[tuple[str, str | None, str]]:
    """Name, label and error of what came in."""
    sources = page.session_state["recordings"].values()
    return [(one.name, one.label, one.error) for source in sources for one in source]


def test_the_first_page_says_what_it_does_and_what_it_accepts(model):
    page = open_page()
    assert page.title[0].value
    assert "8 emotions" in words(page)
    assert f"up to {limits.UPLOAD_MB} MB" in words(page)
    assert "4 hours" in words(page)
    assert "memory" in words(page)
    assert "actors" in words(page)
    assert "AI Act" in words(page)
    assert all(emotion in words(page) for emotion in EMOTIONS)
    assert not charts(page)


def test_every_kind_of_audio_file_may_be_uploaded(model):
    page = open_page()
    for key in ("upload-0", "folder-0"):
        assert set(page.file_uploader(key=key).allowed_type) >= audio.EXTENSIONS | {".zip", ".csv"}


def test_a_recording_is_answered_with_how_sure_and_how_far_ahead(model):
    page = upload(open_page(), clip_wav=wav(1))
    assert "Happy" in words(page)
    assert "80% sure, 65 points ahead of surprised" in words(page)
    assert "Not sure" not in words(page)
    assert charts(page) == 2
    assert len(page.get("audio")) == 1
    assert not page.error
    assert not page.warning


def test_doubt_is_said(model):
    model.says[3] = DOUBTFUL
    page = upload(open_page(), clip_wav=wav(0.3))
    assert "Not sure: perhaps sad" in words(page)
    assert "Only 30% sure, 5 points ahead of calm" in words(page)
    assert page.warning[0].value == "Too short\\: 0.3 s"


def test_silence_gets_no_emotion(model):
    model.says[20] = NOTHING
    page = upload(open_page(), clip_wav=wav(2))
    assert "No emotion to judge" in words(page)
    assert "% sure" not in words(page)
    assert page.warning[0].value == "No voice found"
    assert charts(page) == 1  # the sound, no probabilities


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


def test_starting_over_forgets_the_recordings_and_empties_the_widgets(model):
    page = upload(open_page(), a_wav=wav(1))
    page.button(key="clear").click()
    run(page)
    assert kept(page) == []
    assert page.file_uploader(key="upload-1").value == []
    assert "The emotions it tells apart" in words(page)


def test_a_rerun_computes_nothing_again(model, monkeypatch):
    page = upload(open_page(), a_wav=wav(1))
    monkeypatch.setattr(audio, "stream", lambda *_, **__: pytest.fail("decoded again"))
    run(page)
    assert model.classified == 1
    assert "Happy" in words(page)


def test_what_one_visit_heard_the_next_one_knows(model):
    upload(open_page(), a_wav=wav(1))
    page = upload(open_page(), another_wav=wav(1))
    assert model.classified == 1
    assert "another.wav" in words(page)


@pytest.fixture
def bar(monkeypatch) -> list[tuple[float, str]]:
    """What the bars showed, one after the other: share and text."""
    shown = []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda _, *state: shown.append(state))
    return shown


def test_a_longer_recording_is_told_in_stretches_and_pauses(model):
    page = upload(open_page(), long_wav=wav(20.3))
    assert charts(page) == 2
    table = page.dataframe[0].value
    assert list(table["Emotion"]) == ["Happy", "Pause", "Sad"] * 2
    assert [time.second for time in table["From"]] == [0, 3, 6, 9, 12, 15]
    assert [time.second for time in table["To"]] == [3, 6, 9, 12, 15, 19]
    assert np.isnan(table["How sure"][1])
    assert re.search(r"happy\s+0:06\s", words(page))  # of all its stretches
    assert len(page.get("audio")) == 1


def test_the_stretch_that_is_chosen_is_played(model):
    content = wav(20.3)
    page = upload(open_page(), long_wav=content)
    key = f"stretches-{hashlib.sha256(content).hexdigest()[:16]}-6"
    page.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": [(2, "Emotion")]}}
    run(page)
    assert "0:06 to 0:09: Sad" in words(page).replace("**", "")
    assert page.get("audio")[1].proto.autoplay


def test_of_a_stretch_nothing_else_is_played_and_deep_in_a_recording_whole_seconds(monkeypatch):
    content = wav(20.3)
    recording = Recording("long.wav", content)
    cut = playing.cut.__wrapped__  # there is no visit to remember it for
    sound, rate = soundfile.read(io.BytesIO(cut("", 6.75, 9.0, recording)))
    whole, _ = soundfile.read(io.BytesIO(content))
    start, end = round(6.75 * rate), 9 * rate
    np.testing.assert_allclose(sound, whole[start:end], atol=1e-4)

    played = []
    monkeypatch.setattr(playing.st, "audio", lambda *_, **options: played.append(options))
    monkeypatch.setattr(limits, "PLAYER_MINUTES", 0.1)
    playing.show_stretch(recording, 6.75, 9.2, alt="")
    assert (played[0]["start_time"], played[0]["end_time"]) == (6, 10)


@pytest.mark.parametrize(
    ("parts", "mixed"),
    [
        ([(4, SAD), (4, HAPPY)], True),
        ([(4, DOUBTFUL), (4, DOUBTFUL)], False),  # nothing was clear anywhere
        ([(2, SAD), (3, DOUBTFUL), (9, NOTHING)], False),
    ],
)
def test_a_longer_recording_is_mixed_where_its_parts_are_clear_but_differ(parts, mixed):
    stretches = [Stretch(0.0, seconds, said) for seconds, said in parts]
    assert course.is_mixed(DOUBTFUL, stretches) == mixed
    assert not course.is_mixed(HAPPY, stretches)
    assert text.headline(DOUBTFUL, mixed=mixed) == (
        "Mixed, most of all sad" if mixed else "Not sure: perhaps sad"
    )
    assert text.details(DOUBTFUL, average=True) == "On average 30% sad, 25% calm"


def test_with_a_known_voice_both_answers_stand_beside_each_other(model):
    page = open_page()
    page.session_state["known_voice"] = [Recording("My voice", b"")]
    page.session_state[session.ADAPT] = True
    upload(page, clip_wav=wav(1))
    assert re.search(r"Sad\s.*Not adapted to your voice:\s+Happy", words(page), re.DOTALL)
    page.toggle(key=session.ADAPT).set_value(False)
    run(page)
    assert re.search(r"Happy\s.*\sAdapted to your voice:\s+Sad", words(page), re.DOTALL)
    assert model.classified == model.adapted.classified == 1  # the switch asks nobody again
    assert charts(page) == 2


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


def test_the_bar_shows_the_share_of_a_long_recording_and_only_once(model, bar):
    page = upload(open_page(), long_wav=wav(100))
    shares = [share for share, _ in bar]
    assert len(shares) == 3
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert "heard so far" in bar[0][1]
    run(page)
    assert len(bar) == 3


def test_a_long_recording_goes_on_where_it_was_interrupted(model, monkeypatch):
    def interrupt(*_):
        raise RuntimeError("a click")

    page = open_page()
    with monkeypatch.context() as patch:
        patch.setattr(DeltaGenerator, "progress", interrupt)
        page.file_uploader(key="upload-0").set_value([("long.wav", wav(150), "audio/wav")])
        page.run()
    assert page.exception
    first = len(model.starts)
    assert 20 < first < 40
    run(page)
    assert "Happy" in words(page)
    once = 1 + (150 - 3) // 1.5  # segments of the whole
    assert len(model.starts) == once + 1  # the last one before the click was heard again


def test_what_was_stopped_stays_so_until_one_goes_on(model, monkeypatch):
    monkeypatch.setattr(session, "identity", lambda **_: "model and voice")
    page = open_page()
    content = wav(100)
    stopped = {("model and voice", hashlib.sha256(content).hexdigest())}
    page.session_state["stopped_listening"] = stopped
    upload(page, long_wav=content)
    assert "Stopped after 0:00" in words(page)
    assert not model.classified
    page.button(key="go_on_listening").click()
    run(page)
    assert "Happy" in words(page)


def test_a_model_that_cannot_know_a_voice_says_so(model, monkeypatch):
    def of_before(_):
        raise ModelError("The model does not say what is usual among voices.")

    monkeypatch.setattr(model, "adapted_to", of_before)
    monkeypatch.setattr(session, "adapted", lambda: True)
    page = upload(open_page(), a_wav=wav(1))
    assert [error.value for error in page.error] == [
        "The model does not say what is usual among voices."
    ]


def test_a_model_is_loaded_once_for_all_sessions(model):
    open_page()
    open_page()
    assert model.loaded == ["frames"]


def test_the_other_model_judges_anew_and_the_link_names_it(model):
    page = upload(open_page(), a_wav=wav(1))
    assert "model" not in page.query_params
    page.radio(key="model").set_value("vector")
    run(page)
    assert model.loaded == ["frames", "vector"]
    assert model.classified == 2
    assert page.query_params["model"] == "vector"


@pytest.mark.parametrize(
    ("asked", "chosen"), [("vector", "vector"), ("../../etc", "frames"), ("", "frames")]
)
def test_a_link_chooses_a_model_that_exists(model, asked, chosen):
    page = open_page(model=asked)
    assert page.radio(key="model").value == chosen
    assert model.loaded == [chosen]


def test_a_model_that_was_trained_here_can_be_chosen(model, monkeypatch, tmp_path):
    for name in ("frames", "vector", "mine", ".mine.new-7"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(session, "MODEL_FOLDER", tmp_path)
    page = open_page(model="mine")
    assert page.radio(key="model").options == ["Course over time", "Average sound", "mine"]
    assert model.loaded == ["mine"]


def test_a_model_that_was_trained_again_judges_anew_without_a_restart(model, monkeypatch, tmp_path):
    manifest = tmp_path / "frames" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("old")
    monkeypatch.setattr(session, "MODEL_FOLDER", tmp_path)
    page = upload(open_page(), a_wav=wav(1))
    assert "Happy" in words(page)

    manifest.write_text("another")
    model.says[10] = DOUBTFUL
    run(page)
    assert model.loaded == ["frames", "frames"]
    assert "Not sure: perhaps sad" in words(page)
    run(page)
    assert model.loaded == ["frames", "frames"]
    assert model.classified == 2


def test_a_missing_model_gets_a_plain_message(model, monkeypatch):
    def missing(_):
        raise ModelError("There is no model folder model/frames. Train one with train.py.")

    monkeypatch.setattr(classifier.EmotionClassifier, "load", missing)
    page = open_page()
    assert page.error[0].value == "There is no model folder model/frames. Train one with train.py."


def test_the_figures_of_speech_of_all_emotions_stand_side_by_side(model):
    song = {"test": "RAVDESS speech and song", "uar": 0.99}
    fewer = {"test": "CREMA-D speech", "uar": 0.98, "emotions": list(EMOTIONS[:6])}
    model.manifest["metrics"] = [
        *(SPEAKER | fewer, RANDOM | fewer),
        *(SPEAKER | song, RANDOM | song),
        *(SPEAKER, RANDOM),
    ]
    page = open_page()
    assert [(metric.label, metric.value) for metric in page.metric] == [
        ("Unheard voices", "61%"),
        ("Known voices", "85%"),
    ]
    assert "RAVDESS speech" in words(page)
    assert "once in 8 times" in words(page)
    assert "asked about another" not in words(page)


def test_what_to_expect_of_recordings_unlike_the_training_is_said(model):
    across = [SPEAKER | {"protocol": "cross-corpus", "uar": uar} for uar in (0.41, 0.28)]
    model.manifest["metrics"] = [SPEAKER, RANDOM, *across]
    page = open_page()
    assert [metric.value for metric in page.metric] == ["61%", "85%"]
    assert Page.ACROSS.format(low="28%", high="41%") in words(page)


@pytest.mark.parametrize("metrics", [[], [SPEAKER], [RANDOM]])
def test_without_both_figures_none_is_shown(model, metrics):
    model.manifest["metrics"] = metrics
    assert not open_page().metric


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


def test_a_format_that_browsers_refuse_is_played_as_flac(monkeypatch):
    monkeypatch.setattr(playing, "as_flac", playing.as_flac.__wrapped__)
    file = io.BytesIO()
    soundfile.write(file, speechlike(0.5), 44_100, format="AIFF")
    content, media_type = playing.playable(Recording("a.AIFF", file.getvalue()))
    assert media_type == "audio/flac"
    assert soundfile.info(io.BytesIO(content)).format == "FLAC"
    assert playing.playable(Recording("a.MP3", b"as it is")) == (b"as it is", "audio/mpeg")


@given(some.floats(0, 1))
def test_no_answer_claims_certainty(share):
    assert text.percent(share) not in ("0%", "100%")


@given(some.integers(0, 5 * 3600))
def test_times_are_read_as_on_a_clock(seconds):
    parts = [int(part) for part in text.clock(seconds + 0.9).split(":")]
    assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == seconds


def test_nothing_is_reported_and_the_page_is_for_this_machine_alone():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["address"] == "localhost"
    assert settings["client"]["showErrorLinks"] is False
