"""My voice: what makes it known, what is said of it, and that it stays in this visit."""

import json

import pytest
import streamlit as st
from conftest import ROOT, wav
from streamlit.testing.v1 import AppTest

import audio
import limits
from classifier import EmotionClassifier
from views import session, turns, voice


@pytest.fixture(autouse=True)
def model(tiny_model, monkeypatch):
    """The page's only model is a tiny one."""
    st.cache_resource.clear()
    monkeypatch.setattr(session, "MODEL_FOLDER", tiny_model.parent)
    monkeypatch.setattr(session, "SHIPPED", (tiny_model.name,))


def script():
    import streamlit as st

    from views import session, voice

    voice.show()
    st.text(f"{len(session.known_voice())} known, adapted: {session.adapted()}")
    st.text(session.classifier() is session.plain_classifier())


def record(content: bytes, key: str = voice.RECORD) -> AppTest:
    page = AppTest.from_function(script, default_timeout=60).run()
    assert page.text[0].value == "0 known, adapted: False"
    if key == voice.RECORD:
        page.audio_input(key=key).set_value(("voice.wav", content, "audio/wav")).run()
    else:
        page.file_uploader(key=key).set_value([("voice.wav", content, "audio/wav")]).run()
    assert not page.exception
    return page


@pytest.mark.parametrize("key", [voice.RECORD, voice.UPLOAD])
def test_half_a_minute_makes_a_voice_known(key):
    page = record(wav(30), key)
    assert [text.value for text in page.text] == ["1 known, adapted: True", "False"]
    assert "is known" in page.markdown[0].value
    assert not page.error
    assert not page.warning


@pytest.fixture
def turns_taken(monkeypatch) -> list[int]:
    """How many turns were taken whenever a voice was listened to in order to know it."""
    taken = []

    def listen(self, references):
        taken.append(turns.listening._taken + limits.LISTENING - turns.listening._begun)
        return adapted_to(self, references)

    adapted_to = EmotionClassifier.adapted_to
    monkeypatch.setattr(EmotionClassifier, "adapted_to", listen)
    return taken


def test_a_voice_is_listened_to_once_and_in_turn(turns_taken):
    record(wav(30))
    assert turns_taken == [1]


def test_another_model_listens_to_a_known_voice_in_turn(turns_taken):
    def answer(voice, clip):
        from views import hearing, session

        session.st.session_state[session.KNOWN_VOICE] = [session.Recording("My voice", voice)]
        hearing.answer(session.Recording("clip.wav", clip))

    page = AppTest.from_function(answer, args=(wav(30), wav(2)), default_timeout=60).run()
    assert not page.exception
    assert turns_taken == [1]


def test_the_switch_compares_and_forgetting_forgets():
    page = record(wav(10))
    page.toggle(key=session.ADAPT).set_value(False).run()
    assert [text.value for text in page.text] == ["1 known, adapted: False", "True"]
    page.toggle(key=session.ADAPT).set_value(True).run()
    assert page.text[1].value == "False"
    page.button(key="voice_forget").click().run()
    assert [text.value for text in page.text] == ["0 known, adapted: False", "True"]
    page.audio_input(key=voice.RECORD).set_value(("voice.wav", wav(10), "audio/wav")).run()
    assert page.text[0].value == "1 known, adapted: True"


def test_a_voice_counts_as_a_part_of_what_a_visit_may_bring(monkeypatch):
    monkeypatch.setattr(limits, "VISIT_MB", 0.1)
    page = record(wav(30))
    assert "does not fit" in page.error[0].value
    assert page.text[0].value == "0 known, adapted: False"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav(2), "at least 5 s are needed"),
        (wav(10, level=0), "holds 0.0 s of voice"),
        (wav(200), "lasts more than 180 s"),
        (b"Remember the milk.", "no sound found"),
    ],
)
def test_what_tells_nothing_of_a_voice_gets_a_plain_message(content, message):
    page = record(content)
    assert message in page.error[0].value
    assert page.text[0].value == "0 known, adapted: False"
    page.audio_input(key=voice.RECORD).set_value(("voice.wav", wav(10), "audio/wav")).run()
    assert page.text[0].value == "1 known, adapted: True"
    assert not page.error


def test_the_voice_is_not_analysed_again_at_each_rerun(monkeypatch):
    page = record(wav(10))
    for name in ("load", "stream"):
        monkeypatch.setattr(audio, name, lambda *_, **__: pytest.fail("decoded again"))
    page.run()
    assert page.text[1].value == "False"


def test_another_visit_knows_nothing_of_it():
    record(wav(10))
    page = AppTest.from_function(script, default_timeout=60).run()
    assert page.text[0].value == "0 known, adapted: False"


def test_no_more_is_promised_than_was_measured():
    rows = json.loads((ROOT / "benchmarks/results/known_voice.json").read_text())["rows"]
    rows = [row for row in rows if "half a minute" in row["reference"]]
    assert len(rows) == 2
    page = AppTest.from_function(script, default_timeout=60).run()
    for row in rows:
        points = 100 * (row["uar_adapted"] - row["uar_alone"])
        assert f"{points:.1f}" in page.caption[1].value
    assert "Don't expect wonders" in page.caption[1].value
