"""Many recordings on the page, and the report about one or many."""

import io
import json
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as some
from pages import run
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

import charts
from classifier import Prediction
from corpora import EMOTIONS
from inputs import Input
from sketch import Sketcher
from views import hearing, many, recording, report, session
from views.course import Stretch
from views.session import Recording

MANIFEST = {
    "labels": list(EMOTIONS),
    "network": "frames",
    "corpora": {"RAVDESS": {"channels": ["speech", "song"]}},
    "metrics": [
        {
            "protocol": "speaker",
            "test": "RAVDESS",
            "emotions": EMOTIONS,
            "uar": 0.614,
            "uar_interval": None,
        }
    ],
}


def said(emotion: str, confidence: float = 0.9, *, warning: str = "") -> Prediction:
    rest = (1 - confidence) / (len(EMOTIONS) - 1)
    probabilities = {label: confidence if label == emotion else rest for label in EMOTIONS}
    return Prediction(emotion, confidence, confidence < 0.5, probabilities, warning)


NOTHING = Prediction(None, 0.0, True, dict.fromkeys(EMOTIONS, 0.0), "no voice found")
JUDGED = [
    (Input("a.wav", "a.wav", label="happy"), said("happy")),
    (Input("b.wav", "b.wav", label="sad"), said("happy", 0.4)),
    (Input("c.wav", "c.wav"), said("sad", warning="very noisy")),
    (Input("d.wav", "d.wav", label="calm"), NOTHING),
    (Input("=e.wav", "=e.wav"), "no sound found in it"),
]
ANSWERS = {file.path: answer for file, answer in JUDGED}
BROUGHT = [Recording(file.path, file.path.encode(), file.label or None) for file, _ in JUDGED]


class StandIn:
    """In the place of the model: says what a test wants, and counts how often it is asked."""

    def __init__(self):
        self.manifest = MANIFEST
        self.answers = dict(ANSWERS)
        self.asked = []

    def answer(self, one, *, progress):
        self.asked.append(one.name)
        progress(0.5)
        found = self.answers[one.name]
        if isinstance(found, Exception):
            raise found
        hearing.heard(one).answer = found


@pytest.fixture
def model(monkeypatch) -> StandIn:
    """In the place of the model; a recording that is opened is only named."""
    import streamlit as st

    st.cache_resource.clear()
    stand_in = StandIn()
    monkeypatch.setattr(session, "plain_classifier", lambda: stand_in)
    monkeypatch.setattr(session, "identity", lambda **_: "stand-in")
    monkeypatch.setattr(hearing, "answer", stand_in.answer)
    monkeypatch.setattr(recording, "show", lambda one: st.text(f"open: {one.name}"))
    monkeypatch.setattr(many, "MOMENT", 0.0)
    return stand_in


def draw() -> None:
    import streamlit as st

    from views import many

    many.show(st.session_state["brought"])


def bring(recordings: list[Recording], **state) -> AppTest:
    page = AppTest.from_function(draw, default_timeout=60)
    page.session_state["brought"] = recordings
    for key, value in state.items():
        page.session_state[key] = value
    return run(page)


def opened(page: AppTest) -> list[str]:
    return [text.value for text in page.text if text.value.startswith("open: ")]


def choose(page: AppTest, row: int, *, wanted: Sequence[str] = ()) -> AppTest:
    cells = {"selection": {"rows": [], "columns": [], "cells": [(row, many.Text.FILE)]}}
    names = [one.name for one in page.session_state["brought"]]
    page.session_state[f"table-{hash((*wanted, *names))}"] = cells
    return run(page)


def test_each_recording_is_a_row_and_the_bad_one_says_why(model):
    page = bring(BROUGHT)
    table = page.dataframe[0].value
    assert list(table["File"]) == list(ANSWERS)
    assert list(table["Emotion"]) == [
        "Happy",
        "Perhaps happy",
        "Sad",
        "No emotion to judge",
        "Could not be read",
    ]
    assert list(table["Note"]) == ["", "", "Very noisy", "No voice found", "No sound found in it"]
    assert table["How sure"][0] == 90
    assert np.isnan(table["How sure"][3])
    assert np.isnan(table["How sure"][4])
    assert not page.error
    assert not page.button  # nothing to stop


def test_a_surprise_in_one_costs_the_others_nothing(model):
    model.answers["b.wav"] = RuntimeError("the decoder stumbled")
    table = bring(BROUGHT).dataframe[0].value
    assert table["Emotion"][1] == "Could not be read"
    assert table["Note"][1] == "Not classified: the decoder stumbled"
    assert table["Emotion"][2] == "Sad"


def test_rows_come_one_after_the_other_and_the_bar_never_goes_back(model, monkeypatch):
    shares, rows = [], []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda _, share, text: shares.append(share))
    show_table = many.show_table
    monkeypatch.setattr(
        many, "show_table", lambda judged, _: (rows.append(len(judged)), show_table(judged, []))[1]
    )
    bring(BROUGHT)
    assert rows == [1, 2, 3, 4, 5]
    assert len(set(shares)) == 10
    assert shares == sorted(shares)


def test_a_rerun_asks_nothing_again(model):
    page = bring(BROUGHT)
    run(page)
    assert model.asked == list(ANSWERS)


def test_three_hundred_recordings_are_heard_once_each(model, monkeypatch):
    monkeypatch.setattr(many, "MOMENT", 0.1)
    names = [f"{number}.wav" for number in range(300)]
    model.answers = {name: said("sad") for name in names}
    page = bring([Recording(name, name.encode()) for name in names])
    assert list(page.dataframe[0].value["File"]) == names
    assert model.asked == names


def test_what_was_done_before_the_stop_is_kept_and_the_rest_is_heard_when_wanted(model):
    page = bring(BROUGHT[:2])
    page.session_state[recording.STOPPED] = {("stand-in", one.digest) for one in BROUGHT[2:]}
    page.session_state["brought"] = BROUGHT
    run(page)
    assert "Stopped: 2 of 5 are done." in [element.value for element in page.markdown]
    assert list(page.dataframe[0].value["File"]) == ["a.wav", "b.wav"]

    page.button(key="go_on").click()
    run(page)
    assert list(page.dataframe[0].value["File"]) == list(ANSWERS)
    assert model.asked == list(ANSWERS)


def test_the_stop_is_for_these_recordings_not_for_the_next_ones(model):
    other = Recording("other.wav", b"other")
    page = bring(BROUGHT, **{recording.STOPPED: {("stand-in", other.digest)}})
    assert len(page.dataframe[0].value) == 5


def test_the_stop_is_for_the_model_that_was_asked(model):
    stopped = {("another model", one.digest) for one in BROUGHT}
    page = bring(BROUGHT, **{recording.STOPPED: stopped})
    assert len(page.dataframe[0].value) == 5


def test_rows_can_be_filtered_by_emotion_and_by_what_is_odd(model):
    page = bring(BROUGHT)
    filter_ = page.pills(key="filter")
    assert filter_.options == [
        *("happy", "sad"),
        *("not sure", "not as labelled", "no emotion", "not readable"),
    ]
    filter_.set_value(["sad", "not readable"])
    run(page)
    assert list(page.dataframe[0].value["File"]) == ["c.wav", "=e.wav"]
    page.pills(key="filter").set_value(["not as labelled"])
    run(page)
    assert list(page.dataframe[0].value["File"]) == ["b.wav"]


def test_a_chosen_row_opens_its_recording(model):
    page = bring(BROUGHT)
    assert opened(page) == []
    assert opened(choose(page, 2)) == ["open: c.wav"]


def test_a_row_that_was_filtered_opens_its_own_recording(model):
    page = bring(BROUGHT)
    page.pills(key="filter").set_value(["no emotion", "not readable"])
    run(page)
    assert opened(choose(page, 1, wanted=["no emotion", "not readable"])) == ["open: =e.wav"]


def test_an_opened_row_does_not_become_another_recording(model):
    page = choose(bring(BROUGHT), 1)
    assert len(opened(page)) == 1
    page.session_state["brought"] = BROUGHT[1:]
    assert opened(run(page)) == []


@pytest.mark.parametrize(
    ("seconds", "first"),
    [
        (0.05, ["0:00"]),
        (0.7, ["0.0 s", "0.1 s"]),
        (3.2, ["0.0 s", "0.5 s"]),
        (30, ["0:00", "0:05"]),
    ],
)
def test_the_times_of_a_report_are_told_apart(seconds, first):
    sketcher = Sketcher()
    sketcher.add(speechlike(seconds))
    times = [tick["text"] for tick in report._picture(sketcher.sketch(), [])["times"]]
    assert times[:2] == first
    assert len(set(times)) == len(times)


def test_labels_are_compared_with_the_answers(model):
    page = bring(BROUGHT)
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures == {
        "Right answers": "50%",
        "Average over emotions": "50%",
        "Recordings compared": "2",
    }
    assert list(page.dataframe[0].value["Label"]) == ["happy", "sad", "", "calm", ""]


def test_a_confusion_matrix_is_drawn_in_hundredths_of_each_label():
    chart = charts.confusion_chart(
        np.array([[3, 1], [0, 2]]), ["happy", "sad"], truth="label", taken="answer"
    )
    cells = chart["datasets"]["cells"]
    assert list(zip(cells.truth, cells.taken, cells.text, strict=True)) == [
        *(("happy", "happy", "75"), ("happy", "sad", "25")),
        *(("sad", "happy", ""), ("sad", "sad", "100")),
    ]


def test_without_labels_nothing_is_compared(model):
    page = bring([Recording(one.name, one.content) for one in BROUGHT])
    assert not page.metric
    assert "Label" not in page.dataframe[0].value


def test_it_is_said_if_the_model_was_trained_on_these_clips(model):
    name = "03-01-06-01-02-01-12.wav"
    model.answers[name] = said("fearful")
    page = bring([Recording(name, b"", "fearful"), BROUGHT[2]])
    captions = " ".join(caption.value for caption in page.caption)
    assert "on which this model was trained" in captions


def test_the_downloads_are_the_table_of_the_command():
    read = {
        "csv": lambda content: pd.read_csv(io.BytesIO(content)),
        "json": lambda content: pd.DataFrame(json.loads(content)),
        "parquet": lambda content: pd.read_parquet(io.BytesIO(content)),
    }
    for ending, reader in read.items():
        found = reader(many.encode(JUDGED, EMOTIONS, ending))
        assert list(found) == [
            *("path", "emotion", "confidence", "uncertain"),
            *(*EMOTIONS, "warning", "error", "label"),
        ]
        assert list(found.confidence[:3]) == pytest.approx([0.9, 0.4, 0.9])
        # What a spreadsheet would run stays as it is where no spreadsheet reads.
        assert found.path[4] == ("'=e.wav" if ending == "csv" else "=e.wav")
        assert found.error[4] == "no sound found in it"


@given(some.integers(0, 10**9), some.floats(0.01, 1e6), some.integers(1, 10**9))
def test_the_time_left_is_said_in_round_numbers(size, seconds, heard):
    import streamlit as st

    st.session_state[many.PACE] = seconds, heard
    left = size * seconds / heard
    words = many.time_left(size)
    if left < 9:
        assert words == ", a few seconds left"
    elif 10 < left < 89:
        assert abs(int(words.split()[2]) - left) <= 5
    elif left > 90:
        assert abs(int(words.split()[2]) - left / 60) <= 0.5


class Reader(HTMLParser):
    """What a browser sees of a report: elements, attributes, addresses, words."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.attributes, self.addresses, self.words = set(), set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.words += data


def of_one(name: str = "a.wav", stretches: tuple[Stretch, ...] = ()) -> str:
    sketcher = Sketcher()
    sketcher.add(speechlike(3))
    answer = said("happy", 0.6, warning="very noisy")
    return report.of_one(name, answer, sketcher.sketch(), stretches, MANIFEST)


def of_many(**options) -> str:
    return report.of_many(JUDGED, MANIFEST, **options)


@pytest.mark.parametrize("make", [of_one, of_many])
def test_a_report_needs_nothing_from_elsewhere(make):
    page = make()
    seen = Reader(page)
    assert not seen.elements & {"script", "link", "iframe", "object", "base", "form"}
    assert all(address.startswith("data:image/png;base64,") for address in seen.addresses)
    assert "default-src 'none'" in page
    assert "url(" not in page


@settings(max_examples=50)
@given(some.text(min_size=1), some.text(min_size=1))
def test_whatever_a_user_names_is_only_words_in_a_report(name, error):
    usual = Reader(report.of_many([(Input("a", "a"), "no sound")], MANIFEST))
    seen = Reader(report.of_many([(Input(name, name), error)], MANIFEST))
    assert seen.elements == usual.elements
    assert seen.attributes == usual.attributes


def test_a_report_on_many_tells_what_the_page_tells():
    words = Reader(of_many(left_out=3)).words
    for part in (
        *("5 recordings", "3 more recordings were not listened to", "trained on RAVDESS"),
        *("50.0%", "Not sure: perhaps happy", "No voice found", "No sound found in it", "=e.wav"),
    ):
        assert part in words


def test_a_report_on_one_tells_the_answer_and_each_stretch():
    stretches = (Stretch(0, 2, said("sad", 0.8)), Stretch(2, 62, NOTHING))
    words = Reader(of_one("<b>.wav", stretches)).words
    for part in (
        *("<b>.wav", "Happy", "On average 60% happy", "Very noisy"),
        *("0:00 – 0:02", "80%", "1:02"),
    ):
        assert part in words
    assert of_one(stretches=stretches).count('height="12" fill=') == 1  # a pause has no colour


def test_emotions_are_counted_by_how_sure_they_are():
    assert report.distribution(JUDGED) == {"happy": (1, 1), "sad": (1, 0)}
