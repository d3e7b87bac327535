"""One recording on the page: its answer, its course, its sound, and a long one in parts."""

import hashlib
import io
import re

import numpy as np
import pytest
import soundfile
from conftest import speechlike, wav
from hypothesis import given
from hypothesis import strategies as some
from pages import (
    DOUBTFUL,
    HAPPY,
    NOTHING,
    SAD,
    StandIn,
    charts,
    open_page,
    run,
    stand_in,
    upload,
    words,
)
from streamlit.delta_generator import DeltaGenerator

import audio
import limits
from classifier import ModelError
from views import course, playing, session, text
from views.course import Stretch
from views.session import Recording


@pytest.fixture
def model(monkeypatch) -> StandIn:
    return stand_in(monkeypatch)


@pytest.fixture
def bar(monkeypatch) -> list[tuple[float, str]]:
    """What the bars showed, one after the other: share and text."""
    shown = []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda _, *state: shown.append(state))
    return shown


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
    assert text.Recording.TEACH not in [expander.label for expander in page.expander]


def test_a_voice_can_be_taught_from(model):
    page = upload(open_page(), clip_wav=wav(2))
    assert text.Recording.TEACH in [expander.label for expander in page.expander]


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
