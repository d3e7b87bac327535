"""The shell of the page: its models, their figures, and what it says before anything is heard."""

import tomllib

import pytest
from conftest import ROOT, wav
from pages import DOUBTFUL, StandIn, charts, open_page, run, stand_in, upload, words

import classifier
import limits
from classifier import ModelError
from corpora import EMOTIONS
from views import session
from views.text import Page

SPEAKER = {
    "protocol": "speaker",
    "test": "RAVDESS speech",
    "f1_per_emotion": dict.fromkeys(EMOTIONS, 0.5),
    "uar": 0.614,
    "uar_interval": [0.58, 0.64],
}
RANDOM = SPEAKER | {"protocol": "random", "uar": 0.847}


@pytest.fixture
def model(monkeypatch) -> StandIn:
    return stand_in(monkeypatch)


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
    fewer = {
        "test": "CREMA-D speech",
        "uar": 0.98,
        "f1_per_emotion": dict.fromkeys(EMOTIONS[:6], 0.5),
    }
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


def test_nothing_is_reported_and_the_page_is_for_this_machine_alone():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["address"] == "localhost"
    assert settings["client"]["showErrorLinks"] is False
