"""Teach it: nothing is saved unasked, what was saved can be undone, and models are compared."""

import dataclasses
import json
import shutil

import pytest
import streamlit as st
from conftest import make_model, wav
from streamlit.testing.v1 import AppTest

import audio
import corpora
import my_recordings
import retraining
from classifier import EmotionClassifier, Prediction
from retraining import Training
from views import session, training

ANGRY = Prediction("angry", 0.8, False, dict.fromkeys(corpora.EMOTIONS, 0.1))
NOTHING = Prediction(None, 0.0, True, dict.fromkeys(corpora.EMOTIONS, 0.0))


@pytest.fixture(autouse=True)
def place(tiny_model, tmp_path, monkeypatch):
    """Everything that the page writes lies in a place of the test's own."""
    st.cache_resource.clear()
    st.cache_data.clear()
    models = tmp_path / "model"
    shutil.copytree(tiny_model, models / "tiny")
    monkeypatch.setattr(session, "MODEL_FOLDER", models)
    monkeypatch.setattr(session, "SHIPPED", ("tiny",))
    monkeypatch.setattr(retraining, "MODELS", models)
    monkeypatch.setattr(retraining, "FOLDER", tmp_path / "retraining")
    monkeypatch.setattr(retraining.train, "DATA", tmp_path / "data")
    monkeypatch.setattr(my_recordings, "FOLDER", tmp_path / "data" / corpora.OWN)
    (tmp_path / "data").mkdir()
    return tmp_path


def keep(*labels: str) -> None:
    for number, label in enumerate(labels):
        voice, emotion = label.split()
        my_recordings.keep(wav(2, seed=number), voice=voice, emotion=emotion)


def offers(recording, stretches):
    from views.teach import offer

    for start, end in stretches:
        offer(recording, start=start, end=end)


class Offer:
    """The offer of one recording or stretch, as a person fills it in."""

    def __init__(self, *, stretches=((None, None),), label=None):
        recording = session.Recording("clip.wav", wav(2), label=label)
        self.key = [f"{recording.digest[:16]}-{start}-{end}" for start, end in stretches]
        self.page = AppTest.from_function(
            offers, args=(recording, stretches), default_timeout=60
        ).run()

    def save(self, emotion=None, voice=None, agreed=None, *, number=0):
        key = self.key[number]
        if emotion:
            self.page.pills(key=f"was-{key}").set_value(emotion)
        if voice is not None:
            self.page.text_input(key=f"voice-{key}").set_value(voice)
        if agreed is not None:
            self.page.checkbox(key=f"agreed-{key}").set_value(agreed)
        self.page.button[[b.label for b in self.page.button].index("Save")].click().run()
        assert not self.page.exception
        return self.page


def test_nothing_is_saved_without_consent_or_label():
    offer = Offer()
    assert "not ticked" in offer.save("sad", "alice").error[0].value
    offer = Offer()
    assert "No emotion is chosen" in offer.save(voice="alice", agreed=True).error[0].value
    assert "no letter" in offer.save("sad", "…").error[0].value
    assert my_recordings.clips() == []
    assert not my_recordings.FOLDER.exists()


def test_a_clip_is_saved_relabelled_and_deleted():
    offer = Offer()
    page = offer.save("sad", "Alice", agreed=True)
    assert not page.error
    assert "Saved as **sad**, voice **alice**" in page.markdown[0].value
    (kept,) = my_recordings.clips()
    assert (kept.emotion, kept.voice, kept.stretch) == ("sad", "alice", None)
    offer.save("happy")
    assert [kept.emotion for kept in my_recordings.clips()] == ["happy"]
    page.button(key=f"drop-{offer.key[0]}").click().run()
    assert my_recordings.clips() == []
    assert not page.markdown


def test_a_stretch_is_saved_and_the_name_is_asked_once():
    offer = Offer(stretches=[(0.5, 1.5)])
    offer.save("fearful", "Alice", agreed=True)
    (kept,) = my_recordings.clips()
    assert kept.stretch == (0.5, 1.5)
    assert len(audio.load(kept.file)) == audio.SAMPLE_RATE
    offer.page.args = (session.Recording("b.wav", wav(2, seed=1)), [(None, None)])
    page = offer.page.run()
    assert page.text_input[0].value == "Alice"
    assert page.checkbox[0].value is False  # whoever speaks in this one agrees, too?
    assert page.pills[0].value is None


def test_a_label_that_the_file_carries_is_chosen_beforehand():
    assert Offer(label="calm").page.pills[0].value == "calm"
    assert Offer(label="bored").page.pills[0].value is None


def test_a_full_disk_is_said(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(my_recordings, "keep", full)
    page = Offer().save("sad", "alice", agreed=True)
    assert "No space left on device" in page.error[0].value


def refuse(*_, **__):
    raise PermissionError(13, "Permission denied")


def test_a_checkout_that_may_not_be_written_to_shows_what_is_there(monkeypatch):
    keep("alice angry")
    monkeypatch.setattr(retraining.files, "alone", refuse)
    page = open_page()
    assert "Permission denied" in page.error[0].value
    assert len(page.dataframe[0].value) == 1


def test_what_cannot_be_deleted_or_forgotten_is_said(monkeypatch):
    keep("alice angry")
    stopped = dataclasses.replace(RUNNING, state="stopped")
    monkeypatch.setattr(retraining, "last", lambda: stopped)
    monkeypatch.setattr(retraining, "forget", refuse)
    monkeypatch.setattr(my_recordings, "delete", refuse)
    page = open_page()
    page.button(key="forget_training").click().run()
    assert "Permission denied" in page.error[0].value
    choice = {"selection": {"rows": [0], "columns": [], "cells": []}}
    page.session_state[f"kept-{hash(tuple(my_recordings.clips()))}"] = choice
    page.run()
    page.button(key="delete_chosen").click().run()
    assert "Permission denied" in page.error[0].value
    assert not page.exception


def open_page() -> AppTest:
    script = "from views import teach; teach.page()"
    page = AppTest.from_string(script, default_timeout=60).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    elements = [page.markdown, page.caption, page.info, page.success, page.warning, page.error]
    return "\n".join(element.value for kind in elements for element in kind)


def test_the_first_visit_is_told_how_to_begin():
    page = open_page()
    assert "Nothing yet" in words(page)
    assert not page.button
    assert not my_recordings.FOLDER.exists()


def test_what_is_chosen_can_be_deleted_and_nothing_else():
    keep("alice angry", "alice sad", "bob sad")
    page = open_page()
    table = page.dataframe[0].value
    assert sorted(zip(table["Voice"], table["Emotion"], strict=True)) == [
        ("alice", "angry"),
        ("alice", "sad"),
        ("bob", "sad"),
    ]
    assert "alice 2, bob 1" in words(page)
    kept = my_recordings.clips()
    choice = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.session_state[f"kept-{hash(tuple(kept))}"] = choice
    page.run()
    assert len(page.get("audio")) == 1
    page.button(key="delete_chosen").click().run()
    assert my_recordings.clips() == [kept[0], kept[2]]
    assert len(page.dataframe[0].value) == 2
    assert not page.get("audio")


@pytest.fixture
def begun(monkeypatch) -> list:
    """What the page began to train."""
    begun = []

    def start(model, kept, *, sources, network):
        begun.append((model, len(kept), [source.name for source in sources], network))

    monkeypatch.setattr(retraining, "start", start)
    return begun


def make_corpus(place, name: str, clips: int) -> None:
    for number in range(clips):
        file = place / "data" / name / "sad" / f"voice{number}" / "clip.wav"
        file.parent.mkdir(parents=True)
        file.write_bytes(wav(0.5, seed=number))


def test_a_training_begins_with_what_was_chosen(place, begun):
    make_corpus(place, "acted", 3)
    make_corpus(place, "noisy", 2)
    (place / "data" / "empty").mkdir()
    keep("alice angry", "alice sad", "alice sad", "alice sad", "alice angry", "alice angry")
    page = open_page()
    assert "**4** of your clips. **2** are set aside" in words(page)
    assert "9 clips take roughly" in words(page)
    assert "empty holds no audio file" in words(page)
    page.pills(key="sources").set_value([page.pills(key="sources").value[0]]).run()
    assert "7 clips take roughly" in words(page)
    page.text_input(key="name").set_value("first").run()
    page.button(key="start").click().run()
    assert not page.exception
    assert begun == [("first", 6, ["acted"], "frames")]


def test_without_other_recordings_it_says_what_is_missing(begun):
    keep("alice angry", "bob sad")
    page = open_page()
    assert "`python train.py --download`" in words(page)
    assert "too few to set some aside" in words(page)
    page.button(key="start").click().run()
    assert begun == [("voice-1", 2, [], "frames")]


def test_what_cannot_be_trained_is_said(place, monkeypatch):
    keep("alice angry", "alice sad")
    page = open_page()
    page.button(key="start").click().run()
    assert "too few to set 10% aside" in page.error[0].value
    assert retraining.last() is None


RUNNING = Training(
    "my-first",
    "running",
    "",
    [
        {"time": 0.0, "step": "features", "done": 10, "total": 10},
        {"time": 10.0, "step": "the model", "done": 0, "total": 80},
        {"time": 30.0, "training": "a", "epoch": 1, "epochs": 40, "loss": 2.5},
        {"time": 30.0, "training": "b", "epoch": 1, "epochs": 40, "loss": 1.5},
        {"time": 70.0, "step": "the model", "done": 20, "total": 80},
    ],
)


def test_a_training_is_watched_and_can_be_stopped(monkeypatch):
    state = {"last": RUNNING}
    monkeypatch.setattr(retraining, "last", lambda: state["last"])
    stopped = dataclasses.replace(RUNNING, state="stopped")
    monkeypatch.setattr(retraining, "stop", lambda: state.update(last=stopped))
    monkeypatch.setattr(retraining, "go_on", lambda: state.update(last=RUNNING))
    monkeypatch.setattr(retraining, "forget", lambda: state.update(last=None))
    keep("alice angry")
    page = open_page()
    assert "**my-first** is being trained" in words(page)
    bar = page.get("progress")[0].proto
    assert bar.value == 25
    assert bar.text == "Learning: 25% done, about 3 min left in this step"
    (chart,) = page.get("vega_lite_chart")
    assert "from 2.00 to 2.00 after 1 passes" in chart.proto.alt
    assert "start" not in [button.key for button in page.button]
    page.button(key="stop_training").click().run()
    page.run()  # the page notices at its next look
    assert "ended before it was done" in words(page)
    page.button(key="go_on_training").click().run()
    assert "is being trained" in words(page)
    state["last"] = stopped
    page.run()
    page.button(key="forget_training").click().run()
    assert "ended before" not in words(page)
    assert page.button(key="start")


def test_why_a_training_failed_is_said(monkeypatch):
    failed = dataclasses.replace(RUNNING, state="failed", error="the disk is full: make room")
    monkeypatch.setattr(retraining, "last", lambda: failed)
    page = open_page()
    assert page.error[0].value == "The disk is full\\: make room"
    assert page.button(key="go_on_training")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    """Another tiny model."""
    return make_model(tmp_path_factory.mktemp("model") / "other", "vector")


@pytest.fixture
def own_model(place, other_model):
    """A model that was trained here, on the first of the clips that are kept."""
    keep("alice angry", *["alice sad"] * 8)
    learned = my_recordings.clips()[-1]
    folder = place / "model" / "my-first"
    shutil.copytree(other_model, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["training"]["my_recordings"] = [learned.recording]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_models_are_compared_on_clips_that_none_has_learned(own_model, monkeypatch):
    heard = []

    def classify(model, source):
        heard.append(source)
        own = "my_recordings" in model.manifest["training"]
        return dataclasses.replace(ANGRY, emotion="sad" if own else "angry")

    monkeypatch.setattr(EmotionClassifier, "classify", classify)
    page = open_page()
    assert [(metric.label, metric.value) for metric in page.metric] == [
        ("tiny: right answers", "0 of 8"),
        ("my-first: right answers", "8 of 8"),
    ]
    assert "**The new model does better on these 8 clips.**" in words(page)
    assert "has learned other clips of these voices" in words(page)
    assert len(heard) == 16
    page.run()
    assert len(heard) == 16  # not again

    page.button(key="use-my-first").click().run()
    assert page.session_state[session.MODEL] == "my-first"
    assert page.button(key="use-my-first").disabled
    page.button(key="use-tiny").click().run()
    assert page.session_state[session.MODEL] == "tiny"


def test_too_few_clips_to_tell_are_called_that(own_model, monkeypatch):
    def classify(model, source):
        right = "my_recordings" in model.manifest["training"] and source == first
        return dataclasses.replace(ANGRY, emotion="sad" if right else "angry")

    first = my_recordings.clips()[0].file
    monkeypatch.setattr(EmotionClassifier, "classify", classify)
    page = open_page()
    assert [metric.value for metric in page.metric] == ["0 of 8", "1 of 8"]
    assert "**These 8 clips are too few to tell which is better.**" in words(page)


def test_where_every_clip_was_learned_nothing_is_compared(own_model):
    my_recordings.delete(my_recordings.clips()[:-1])
    page = open_page()
    assert "no clip from which neither has learned" in words(page)
    assert not page.metric
    assert page.button(key="use-my-first")


def test_a_damaged_model_gets_a_plain_message(own_model):
    (own_model / "network.tflite").write_bytes(b"")
    assert "is not the file that the manifest describes" in words(open_page())


def test_a_system_that_cannot_train_here_says_what_can_be_done(monkeypatch):
    def windows():
        raise retraining.RetrainingError("The page trains on Linux and macOS alone.")

    monkeypatch.setattr(retraining, "last", windows)
    keep("alice angry")
    page = open_page()
    assert "Linux and macOS alone" in words(page)
    assert len(page.dataframe[0].value) == 1


def test_what_two_visits_heard_at_once_counts_once(tiny_model, monkeypatch):
    keep("ann angry")
    clips = my_recordings.clips()
    monkeypatch.setattr(training, "place_of_answer", lambda *_: ["happy", "happy"])
    assert training.answers(EmotionClassifier.load(tiny_model), clips) == ["happy"]


def test_the_time_left_does_not_count_a_rest():
    def line(step, time, done):
        return {"step": step, "time": time, "done": done, "total": 80}

    before = [line("the model", 0, 0), line("the model", 600, 10)]
    after = [line("training material", 30_000, 1), line("the model", 30_000, 10)]
    steps = [*before, *after, line("the model", 30_060, 11)]
    assert "69" in training.time_left(steps)
