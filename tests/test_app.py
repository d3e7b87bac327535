import html
import io
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import streamlit as st
from conftest import ROOT, speechlike
from hypothesis import given
from hypothesis import strategies as some
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

import app
import audio
import classifier
from classifier import ModelError, Prediction
from corpora import EMOTIONS


def prediction(emotion: str, uncertain: bool, probabilities: list[float], warning: str = ""):
    table = dict(zip(EMOTIONS, probabilities, strict=True))
    return Prediction(emotion, table[emotion], uncertain, table, warning)


HAPPY = prediction("happy", False, [0, 0, 0, 0, 0.8, 0, 0.05, 0.15])
DOUBTFUL = prediction("sad", True, [0.1, 0.25, 0.1, 0.1, 0.05, 0.1, 0.3, 0], "too short: 0.3 s")
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
        self.manifest = {"labels": list(EMOTIONS), "metrics": [], "files": {}}
        self.says = {}  # length of the recording in tenths of a second → Prediction
        self.loaded = []
        self.classified = 0

    def load(self, folder):
        self.loaded.append(Path(folder).name)
        self.manifest["files"] = {"network.keras": f"SHA-256 of {self.loaded}"}
        return self

    def classify(self, source, *, progress):
        self.classified += 1
        tenths = round(10 * len(audio.load(source)) / audio.SAMPLE_RATE)
        if tenths > 100:
            for share in (0.25, 0.5, 1):
                progress(share)
        return self.says.get(tenths, HAPPY)


@pytest.fixture
def model(monkeypatch) -> StandIn:
    st.cache_data.clear()
    st.cache_resource.clear()
    stand_in = StandIn()
    monkeypatch.setattr(classifier.EmotionClassifier, "load", stand_in.load)
    return stand_in


def open_page() -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not page.exception
    return page


def upload(page: AppTest, **files: bytes) -> AppTest:
    page.file_uploader(key="upload").set_value(
        [(name.replace("_", "."), content, "audio/wav") for name, content in files.items()]
    )
    page.run()
    assert not page.exception
    return page


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speechlike(seconds), audio.SAMPLE_RATE, format="WAV")
    return file.getvalue()


def words(page: AppTest) -> str:
    """All that a person reads, without markup."""
    parts = [element.value for element in [*page.markdown, *page.caption, *page.html]]
    return html.unescape(re.sub(r"<[^>]*>", " ", "\n".join(parts)))


def charts(page: AppTest) -> int:
    return len(page.get("vega_lite_chart"))


def test_the_first_page_says_what_it_does_and_what_it_accepts(model):
    page = open_page()
    assert page.title[0].value
    assert "8 emotions" in words(page)
    assert "200 MB" in words(page)
    assert "4 hours" in words(page)
    assert "memory" in words(page)
    assert "actors" in words(page)
    assert "AI Act" in words(page)
    assert all(emotion in words(page) for emotion in EMOTIONS)
    assert not charts(page)


def test_every_kind_of_audio_file_may_be_uploaded(model):
    assert set(open_page().file_uploader(key="upload").allowed_type) >= audio.EXTENSIONS


def test_a_recording_is_answered_with_how_sure_and_the_runner_up(model):
    page = upload(open_page(), clip_wav=wav(1))
    assert "Happy" in words(page)
    assert "80% sure, runner-up: surprised, 15%" in words(page)
    assert "Not sure" not in words(page)
    assert charts(page) == 2
    assert len(page.get("audio")) == 1
    assert not page.error
    assert not page.warning


def test_doubt_is_said(model):
    model.says[3] = DOUBTFUL
    page = upload(open_page(), clip_wav=wav(0.3))
    assert "Not sure: perhaps sad" in words(page)
    assert "Only 30% sure, runner-up: calm, 25%" in words(page)
    assert page.warning[0].value == "Too short\\: 0.3 s"


def test_silence_gets_no_emotion(model):
    model.says[20] = NOTHING
    page = upload(open_page(), clip_wav=wav(2))
    assert "No emotion to judge" in words(page)
    assert "sure" not in words(page).replace("how sure it is", "")
    assert page.warning[0].value == "No voice found"
    assert charts(page) == 1  # the sound, no probabilities


def test_the_microphone_is_heard(model):
    page = open_page()
    page.audio_input(key="record").set_value(("recorded.wav", wav(1), "audio/wav")).run()
    assert "Your recording" in words(page)
    assert "Happy" in words(page)


def test_a_file_that_is_no_sound_gets_a_plain_message(model):
    page = upload(open_page(), notes_wav=b"Remember the milk.")
    assert page.error[0].value.startswith("notes.wav\\: no sound found in it")
    assert not charts(page)


def test_several_recordings_get_a_row_each_and_the_bad_one_its_reason(model):
    model.says[3] = DOUBTFUL
    page = upload(open_page(), a_wav=wav(1), b_wav=b"text", c_wav=wav(0.3))
    table = page.dataframe[0].value
    assert list(table["File"]) == ["a.wav", "b.wav", "c.wav"]
    assert list(table["Emotion"]) == ["Happy", "Could not be read", "Not sure: perhaps sad"]
    assert table["How sure"][0] == 80
    assert np.isnan(table["How sure"][1])
    assert table["Note"][1].startswith("No sound found in it")
    assert "a.wav" in words(page)  # the first one is open
    assert not page.error


def test_the_row_that_is_chosen_is_shown(model):
    model.says[3] = DOUBTFUL
    page = upload(open_page(), a_wav=wav(1), b_wav=b"text", c_wav=wav(0.3))
    page.session_state["table"] = {"selection": {"rows": [2], "columns": [], "cells": []}}
    page.run()
    assert "Not sure: perhaps sad" in words(page)
    page.session_state["table"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run()
    assert page.error[0].value.startswith("b.wav\\: no sound found in it")


def test_the_download_is_the_table_of_the_command():
    text = app.csv(["a.wav", "b.wav", "c.wav"], [HAPPY, "b.wav: no sound", NOTHING], EMOTIONS)
    table = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert list(table) == [
        *("path", "emotion", "confidence", "uncertain"),
        *EMOTIONS,
        *("warning", "error"),
    ]
    assert list(table.path) == ["a.wav", "b.wav", "c.wav"]
    assert list(table.emotion) == ["happy", "", ""]
    assert list(table.error) == ["", "b.wav: no sound", ""]
    assert list(table.warning) == ["", "", "no voice found"]


def test_the_download_holds_no_formula():
    text = app.csv(["=cmd.wav"], ["=cmd.wav: no sound"], EMOTIONS)
    table = pd.read_csv(io.StringIO(text))
    assert list(table.path) == ["'=cmd.wav"]
    assert list(table.error) == ["'=cmd.wav: no sound"]


def test_a_rerun_computes_nothing_again(model, monkeypatch):
    page = upload(open_page(), a_wav=wav(1), b_wav=b"text")
    monkeypatch.setattr(audio, "load", lambda _: pytest.fail("decoded again"))
    page.run()
    assert not page.exception
    assert model.classified == 2
    assert "Happy" in words(page)


@pytest.fixture
def bar(monkeypatch) -> list[tuple[float, str | None]]:
    """What the bars showed, one after the other: share and text."""
    shown = []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda _, *state: shown.append(state))
    return shown


def test_the_share_of_a_long_recording_that_is_done_is_shown(model, bar):
    page = upload(open_page(), long_wav=wav(11))
    assert bar == [(0.25, None), (0.5, None), (1, None)]
    page.run()
    assert len(bar) == 3  # not again
    assert "Happy" in words(page)


def test_the_bar_of_several_recordings_moves_through_each(model, bar):
    page = upload(open_page(), a_wav=wav(1), long_wav=wav(11))
    assert [share for share, _ in bar] == [0, 0.5, 0.625, 0.75, 1]
    assert "recording 1 of 2" in bar[0][1]
    assert "recording 2 of 2" in bar[-1][1]
    page.file_uploader(key="upload").set_value(
        [(name, wav(seconds), "audio/wav") for name, seconds in (("a.wav", 1), ("c.wav", 2))]
    )
    page.run()
    assert [share for share, _ in bar[5:]] == [0.5]  # a.wav is known
    assert model.classified == 3


def test_a_model_is_loaded_once_for_all_sessions(model):
    open_page()
    open_page()
    assert model.loaded == ["frames"]


def test_the_other_model_judges_anew(model):
    page = upload(open_page(), a_wav=wav(1))
    page.radio(key="model").set_value("vector").run()
    assert model.loaded == ["frames", "vector"]
    assert model.classified == 2


def test_a_model_that_was_trained_again_judges_anew_without_a_restart(model, tmp_path):
    shutil.copy(ROOT / "app.py", tmp_path)
    manifest = tmp_path / "model" / "frames" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("old")
    page = AppTest.from_file(str(tmp_path / "app.py"), default_timeout=60).run()
    upload(page, a_wav=wav(1))
    assert "Happy" in words(page)

    manifest.write_text("another")
    model.says[10] = DOUBTFUL
    page.run()
    assert model.loaded == ["frames", "frames"]
    assert "Not sure: perhaps sad" in words(page)
    page.run()
    assert model.loaded == ["frames", "frames"]
    assert model.classified == 2


def test_a_missing_model_gets_a_plain_message(model, monkeypatch):
    def missing(_):
        raise ModelError("There is no model folder model/frames. Train one with train.py.")

    monkeypatch.setattr(classifier.EmotionClassifier, "load", missing)
    page = open_page()
    assert page.error[0].value == "There is no model folder model/frames. Train one with train.py."


def test_the_figures_for_unheard_and_known_speakers_stand_side_by_side(model):
    song = {"test": "RAVDESS speech and song", "uar": 0.99}
    model.manifest["metrics"] = [SPEAKER | song, RANDOM | song, SPEAKER, RANDOM]
    page = open_page()
    assert [(metric.label, metric.value) for metric in page.metric] == [
        ("Unheard voices", "61%"),
        ("Known voices", "85%"),
    ]
    assert "RAVDESS speech" in words(page)


@pytest.mark.parametrize("metrics", [[], [SPEAKER], [RANDOM]])
def test_without_both_figures_none_is_shown(model, metrics):
    model.manifest["metrics"] = metrics
    assert not open_page().metric


def test_a_file_name_is_text_and_nothing_else(model):
    name = "<img src=x onerror=alert(1)>*a*[b](c)$d$:red[e].wav"
    page = open_page()
    page.file_uploader(key="upload").set_value([(name, wav(1), "audio/wav")]).run()
    assert "<img" not in "".join(element.value for element in page.html)
    page.file_uploader(key="upload").set_value([(name, b"text", "audio/wav")]).run()
    message = page.error[0].value
    assert re.sub(r"\\(.)", r"\1", message).startswith(f"{name}: no sound found")
    assert not re.search(r"(?<!\\)[<>*\[\]$:]", message)


def test_a_format_that_browsers_refuse_is_played_as_wav(model):
    file = io.BytesIO()
    soundfile.write(file, speechlike(0.5), 44_100, format="AIFF")
    content, media_type = app.playable("a.AIFF", file.getvalue())
    assert media_type == "audio/wav"
    assert soundfile.info(io.BytesIO(content)).format == "WAV"
    assert app.playable("a.MP3", b"as it is") == (b"as it is", "audio/mpeg")


@given(some.floats(0, 1))
def test_no_answer_claims_certainty(share):
    assert app.percent(share) not in ("0%", "100%")


def test_nothing_is_reported_and_the_page_is_for_this_machine_alone():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["address"] == "localhost"
    assert settings["client"]["showErrorLinks"] is False
