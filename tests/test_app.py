import html
import io
import itertools
import re
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
        self.manifest = {"labels": list(EMOTIONS), "metrics": []}
        self.says = {}  # length of the recording in tenths of a second → Prediction
        self.loaded = []
        self.classified = 0

    def load(self, folder):
        self.loaded.append(Path(folder).name)
        return self

    def classify(self, source, **_):
        self.classified += 1
        tenths = round(10 * len(audio.load(source)) / audio.SAMPLE_RATE)
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


def test_a_rerun_computes_nothing_again(model, monkeypatch):
    page = upload(open_page(), a_wav=wav(1), b_wav=b"text")
    monkeypatch.setattr(audio, "load", lambda _: pytest.fail("decoded again"))
    page.run()
    assert not page.exception
    assert model.classified == 2
    assert "Happy" in words(page)


def test_a_model_is_loaded_once_for_all_sessions(model):
    open_page()
    open_page()
    assert model.loaded == ["frames"]


def test_the_other_model_judges_anew(model):
    page = upload(open_page(), a_wav=wav(1))
    page.radio(key="model").set_value("vector").run()
    assert model.loaded == ["frames", "vector"]
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


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1, 61])
def test_the_picture_shows_the_whole_recording(seconds):
    found, chart = app.picture.__wrapped__(wav(seconds))
    assert found == pytest.approx(seconds, abs=1 / audio.SAMPLE_RATE)
    specification = chart.to_dict()
    assert str(specification).count(f"[0, {found}]") == 2  # one time axis, twice
    assert "data:image/png;base64," in str(specification)


def test_the_spectrogram_is_dark_in_silence_and_bright_where_the_sound_is():
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(audio.SAMPLE_RATE).astype(np.float32)
    faint = 1e-5 * noise
    pixels = image(np.concatenate([noise, faint]))
    half = pixels.shape[1] // 2
    assert pixels[:, : half - 5].mean() > 100
    assert pixels[:, half + 5 :].max() < 30
    assert image(faint).max() < 30


def test_a_low_note_is_at_the_bottom_of_the_spectrogram():
    time = np.arange(audio.SAMPLE_RATE) / audio.SAMPLE_RATE
    brightness = image(np.sin(2 * np.pi * 500 * time).astype(np.float32)).mean(axis=1)
    height = 1 - (brightness.argmax() + 0.5) / len(brightness)
    assert height == pytest.approx(app.mel_positions()[500], abs=0.02)


def image(waveform: np.ndarray) -> np.ndarray:
    """Brightness (mel bands, columns) of the spectrogram."""
    import base64

    from PIL import Image

    data = base64.b64decode(app.spectrogram(waveform).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float).mean(axis=2)


@given(some.integers(1, 5000), some.integers(0, 99))
def test_the_envelope_holds_every_peak(samples, seed):
    waveform = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    found = app.envelope(waveform)
    assert len(found) == min(samples, app.ENVELOPE_COLUMNS)
    assert found.low.min() == pytest.approx(waveform.min(), abs=1e-4)
    assert found.high.max() == pytest.approx(waveform.max(), abs=1e-4)
    assert (found.low <= found.high).all()
    assert found.time.is_monotonic_increasing


@given(some.floats(0, 1))
def test_no_answer_claims_certainty(share):
    assert app.percent(share) not in ("0%", "100%")


def test_the_emotions_have_colours_that_colour_blind_people_tell_apart():
    assert set(app.COLORS) == set(EMOTIONS)
    colors = linear_light(list(app.COLORS.values()))
    for simulation in DICHROMACY:
        seen = oklab(np.clip(colors @ np.array(simulation).T, 0, 1))
        distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
        assert min(distances) > 0.12


@pytest.mark.parametrize("page", ["#ffffff", "#171614"])
def test_the_colours_are_visible_on_the_light_and_the_dark_page(page):
    luminance = linear_light([page, *app.COLORS.values()]) @ [0.2126, 0.7152, 0.0722] + 0.05
    ratios = luminance[1:] / luminance[0]
    assert np.maximum(ratios, 1 / ratios).min() > 1.75


def test_nothing_is_reported_and_the_page_is_for_this_machine_alone():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["address"] == "localhost"
    assert settings["client"]["showErrorLinks"] is False


# Normal sight, protanopia, deuteranopia, tritanopia in linear light: Machado, Oliveira, Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009).
DICHROMACY = [
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
]


def linear_light(colors: list[str]) -> np.ndarray:
    srgb = np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(colors: np.ndarray) -> np.ndarray:
    cones = colors @ np.array(
        [[0.4122, 0.2119, 0.0883], [0.5363, 0.6807, 0.2817], [0.0514, 0.1074, 0.6300]]
    )
    return np.cbrt(cones) @ np.array(
        [[0.2105, 1.9780, 0.0259], [0.7936, -2.4286, 0.7828], [-0.0041, 0.4506, -0.8087]]
    )
