"""The page about the model, and what the numbers are: every figure as it is on file."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from conftest import as_wav, make_model, speechlike
from streamlit.testing.v1 import AppTest

import audio
import explain
import features
from audio import SAMPLE_RATE
from classifier import EmotionClassifier
from corpora import EMOTIONS
from model_folder import MANIFEST
from views import examples, model, numbers, session
from views.text import Model, Numbers, Page, percent

KINDS = ("frames", "vector")


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def tiny_models(tiny_model, tmp_path_factory) -> dict[str, Path]:
    """A valid model folder of each kind with random weights, never tested."""
    return {
        "frames": tiny_model,
        "vector": make_model(tmp_path_factory.mktemp("model") / "tiny", "vector"),
    }


def install(monkeypatch, folder: Path, source: Path, **changes: Any) -> dict[str, Any]:
    """Make a copy of a model the one of the page; of its manifest, change or (None) drop keys."""
    shutil.copytree(source, folder / "frames")
    file = folder / "frames" / MANIFEST
    manifest = json.loads(file.read_text("utf-8")) | changes
    manifest = {key: value for key, value in manifest.items() if value is not None}
    file.write_text(json.dumps(manifest), encoding="utf-8")
    monkeypatch.setattr(session, "MODEL_FOLDER", folder)
    return manifest


def open_page(name: str = "frames") -> AppTest:
    def script() -> None:
        from views import model

        model.page()

    page = AppTest.from_function(script, default_timeout=60)
    page.session_state[session.MODEL] = name
    page.run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    """Return all text of a page."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "error")
    return "\n".join(element.value for kind in kinds for element in getattr(page, kind))


def alts(page: AppTest) -> list[str]:
    """Return what a screen reader says of each chart."""
    return [element.proto.alt for element in page.get("vega_lite_chart")]


def record(**changes: Any) -> dict[str, Any]:
    """A test as a manifest holds it: of one voice, on two emotions."""
    return {
        "protocol": "speaker",
        "train": "mine speech",
        "test": "mine speech",
        "emotions": ["angry", "sad"],
        "folds": 2,
        "seeds": [0],
        "clips": 20,
        "uar": 0.7,
        "uar_interval": [0.61, 0.78],
        "accuracy": 0.6,
        "f1_per_emotion": {"angry": 0.75, "sad": 0.5},
        "ece": 0.04,
        "accuracy_per_speaker": {"a": 0.5, "b": 0.9},
        "confusion_matrix": [[9, 1], [5, 5]],
        "reliability": [{"clips": 20, "confidence": 0.66, "accuracy": 0.6}],
        "accuracy_of_surest": 0.8,
        "uar_by_sex": {},
        **changes,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_of_a_shipped_model_are_those_of_its_manifest(kind) -> None:
    manifest = json.loads((session.MODEL_FOLDER / kind / MANIFEST).read_text("utf-8"))
    page = open_page(kind)
    test, records = next(iter(model.by_test(manifest["metrics"]).items()))
    assert "song" not in test
    labels = [metric.label for metric in page.metric]
    assert labels[:2] == [Page.SPEAKER_SCORE, Page.RANDOM_SCORE]
    assert len(labels) == len(records)
    assert [metric.value for metric in page.metric] == [f"{found['uar']:.1%}" for found in records]
    text = words(page)
    for found in records:
        low, high = found["uar_interval"]
        assert f"{low:.0%} to {high:.0%}" in text
    assert f"{records[0]['accuracy_of_surest']:.0%} instead of {records[0]['accuracy']:.0%}" in text
    for name, corpus in manifest["corpora"].items():
        assert f"**{name}**: {corpus['clips']:,} recordings" in text
        assert corpus["licence"] in text
    charts = alts(page)
    assert len(charts) == 4 + len(records)
    assert all(charts)
    f1 = records[0]["f1_per_emotion"]["angry"]
    assert any(f"angry {f1:.0%}" in text for text in charts)


def test_another_test_set_can_be_looked_at_and_other_models_have_others(
    monkeypatch, tmp_path, tiny_model
) -> None:
    song = record(test="mine song", uar=0.9)
    install(monkeypatch, tmp_path, tiny_model, metrics=[song, record()])
    page = open_page()
    assert page.metric[0].value == "70.0%"
    page.pills(key="test").set_value("mine song").run()
    assert not page.exception
    assert page.metric[0].value == "90.0%"
    shutil.copytree(tmp_path / "frames", tmp_path / "vector")
    manifest = tmp_path / "vector" / MANIFEST
    manifest.write_text(manifest.read_text("utf-8").replace("mine song", "mine shouting"))
    page.session_state[session.MODEL] = "vector"
    page.run()
    assert not page.exception
    assert len(page.metric) == 1


def test_speech_with_most_emotions_and_unheard_voices_come_first() -> None:
    three = {"angry": 0.5, "sad": 0.5, "happy": 0.5}
    tests = model.by_test(
        [
            record(test="both: speech and song", f1_per_emotion=three, protocol="random"),
            record(test="speech of two"),
            record(test="speech of three", f1_per_emotion=three, protocol="cross-corpus"),
            record(test="speech of three", f1_per_emotion=three, protocol="random"),
            record(test="speech of three", f1_per_emotion=three, protocol="speaker"),
        ]
    )
    assert list(tests) == ["speech of three", "speech of two", "both: speech and song"]
    first = [found["protocol"] for found in tests["speech of three"]]
    assert first == ["speaker", "random", "cross-corpus"]


def test_an_own_model_tested_on_one_voice_is_shown_for_what_it_is(
    monkeypatch, tmp_path, tiny_model
) -> None:
    corpora = {
        "*my* <b>voice</b>": {
            "clips": 1200,
            "speakers": 1,
            "channels": ["speech"],
            "licence": "unknown",
        }
    }
    alone = record(protocol="random", uar_interval=None, accuracy_per_speaker={"a": 0.6})
    install(monkeypatch, tmp_path, tiny_model, metrics=[alone], corpora=corpora)
    page = open_page()
    text = words(page)
    assert Model.NO_INTERVAL in text
    assert Page.SPEAKER_SCORE not in text
    assert Model.VOICES not in text
    assert r"\*my\* \<b\>voice\</b\>" in text
    assert "1,200 recordings" in text
    assert len(page.metric) == 1
    assert not page.pills


def test_women_and_men_are_told_apart_where_it_is_known(monkeypatch, tmp_path, tiny_model) -> None:
    found = record(uar_by_sex={"women": 0.71, "men": 0.58})
    install(monkeypatch, tmp_path, tiny_model, metrics=[found])
    assert "Women 71%, men 58%" in words(open_page())


def test_a_model_without_a_test_says_so(monkeypatch, tmp_path, tiny_models) -> None:
    install(monkeypatch, tmp_path, tiny_models["vector"])
    page = open_page()
    assert [info.value for info in page.info] == [Model.NOT_TESTED]
    assert not page.metric
    assert Model.LIMITS in words(page)


def test_the_speed_is_measured_when_asked_for(monkeypatch, tmp_path, tiny_model) -> None:
    install(monkeypatch, tmp_path, tiny_model)
    page = open_page()
    assert not re.search(r"\d ms", words(page))
    page.button(key="measure").click().run()
    assert not page.exception
    assert re.search(r"[1-9]\d* ms for a recording of four seconds", words(page))


def test_the_speed_is_that_of_a_whole_answer() -> None:
    sound = examples.short(examples.LIVELY)
    prediction = EmotionClassifier.load(session.MODEL_FOLDER / "frames").classify(sound)
    assert prediction.emotion is not None  # so the network was asked


def open_numbers(content: bytes, name: str = "frames", **stretch: float) -> AppTest:
    def script(content: bytes, stretch: dict[str, float]) -> None:
        from views import numbers, session

        numbers.show(session.classifier(), content, **stretch)

    page = AppTest.from_function(script, kwargs={"content": content, "stretch": stretch})
    page.session_state[session.MODEL] = name
    page.run(timeout=60)
    assert not page.exception
    return page


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_of_a_recording_and_the_moment_that_decided(kind) -> None:
    content = as_wav(speechlike(2))
    page = open_numbers(content, kind)
    classifier = EmotionClassifier.load(session.MODEL_FOLDER / kind)
    waveform = audio.load(content)
    prediction = classifier.classify_waveform(waveform)
    found = explain.occlude(classifier, waveform)
    number = classifier.labels.index(prediction.emotion)
    assert f"**{prediction.emotion}**" in words(page)
    assert percent(found.whole[number]) in words(page)
    if found.falls(number).max() >= numbers.SLIGHT:
        assert percent(found.hidden[:, number].min()) in words(page)
    table = page.dataframe[0].value
    assert list(table[Numbers.NUMBER]) == list(features.FEATURE_NAMES)
    np.testing.assert_allclose(
        table[Numbers.CLIP], explain.numbers(classifier, waveform), atol=0.001
    )
    assert all(alts(page))


@pytest.mark.parametrize("kind", KINDS)
def test_the_averages_of_emotions_stand_beside_the_numbers(
    kind, monkeypatch, tmp_path, tiny_models
) -> None:
    means = np.zeros((len(EMOTIONS), 264))
    install(monkeypatch, tmp_path, tiny_models[kind], emotion_means=means.tolist())
    page = open_numbers(as_wav(speechlike(1)))
    assert list(page.dataframe[0].value)[2:] == list(EMOTIONS)
    assert (page.dataframe[0].value[list(EMOTIONS)] == 0).all(axis=None)
    assert len(page.button_group) == 2
    assert len(alts(page)) == 3
    compared = page.button_group[1]
    assert len(compared.value) == 2
    compared.set_value(["sad"])
    page.button_group[0].set_value(Numbers.GROUPS[3][0])
    page.run()
    assert not page.exception
    assert alts(page)[2] == (
        "Notes (chroma): the numbers of this recording and the averages of sad"
    )


def test_a_model_without_averages_does_without_and_says_so(
    monkeypatch, tmp_path, tiny_model
) -> None:
    install(monkeypatch, tmp_path, tiny_model, emotion_means=None)
    page = open_numbers(as_wav(speechlike(1)))
    assert Numbers.NO_AVERAGES in words(page)
    assert list(page.dataframe[0].value) == [Numbers.NUMBER, Numbers.CLIP]
    assert len(page.button_group) == 1
    assert len(alts(page)) == 2


def test_where_no_emotion_is_named_nothing_is_explained(monkeypatch, tmp_path, tiny_model) -> None:
    install(monkeypatch, tmp_path, tiny_model)
    page = open_numbers(as_wav(np.zeros(SAMPLE_RATE, np.float32)))
    assert [info.value for info in page.info] == [Numbers.NOTHING]
    assert not page.dataframe


def test_of_a_long_recording_a_stretch_is_explained(monkeypatch, tmp_path, tiny_model) -> None:
    install(monkeypatch, tmp_path, tiny_model)
    waveform = speechlike(16)
    content = as_wav(waveform)
    part = audio.load_part(content, 4.0, 12.5)
    np.testing.assert_array_equal(part, audio.load(content)[4 * SAMPLE_RATE : 275_625])
    for start, end in ((4.0, 12.5), (0.0, 3.0)):
        said = words(open_numbers(content, start=start, end=end))
        assert Numbers.PART.format(start=start, end=end) in said
    # Of what is too long to be judged in one piece, the beginning.
    assert Numbers.PART.format(start=0, end=10) in words(open_numbers(content))
    assert Numbers.PART.format(start=8, end=16) in words(open_numbers(content, start=8.0))


def test_the_network_is_not_asked_again_when_another_group_is_looked_at(
    monkeypatch, tmp_path, tiny_model
) -> None:
    install(monkeypatch, tmp_path, tiny_model)
    page = open_numbers(as_wav(speechlike(1)))

    def forbidden(*_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(explain, "occlude", forbidden)
    page.button_group[0].set_value(Numbers.GROUPS[5][0]).run()
    assert not page.exception
