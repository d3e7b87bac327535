"""What the tests of the page share: a stand-in for the model, and hands and eyes for AppTest."""

import html
import io
import re
import zipfile
from pathlib import Path

import streamlit as st
from conftest import ROOT
from streamlit.testing.v1 import AppTest

import audio
import classifier
from classifier import Prediction, Segment
from corpora import EMOTIONS


def prediction(emotion: str, uncertain: bool, probabilities: list[float], warning: str = ""):
    table = dict(zip(EMOTIONS, probabilities, strict=True))
    return Prediction(emotion, table[emotion], uncertain, table, warning)


HAPPY = prediction("happy", False, [0, 0, 0, 0, 0.8, 0, 0.05, 0.15])
DOUBTFUL = prediction("sad", True, [0.1, 0.25, 0.1, 0.1, 0.05, 0.1, 0.3, 0], "too short: 0.3 s")
SAD = prediction("sad", False, [0, 0.2, 0, 0, 0, 0, 0.7, 0.1])
NOTHING = Prediction(None, 0.0, True, dict.fromkeys(EMOTIONS, 0.0), "no voice found")


class StandIn:
    """In the place of `EmotionClassifier`: decodes for real, and says what a test wants."""

    def __init__(self):
        self.labels = EMOTIONS
        self.manifest = {
            "labels": list(EMOTIONS),
            "network": "frames",
            "corpora": {"RAVDESS": {"channels": ["speech", "song"]}},
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


def stand_in(monkeypatch) -> StandIn:
    """Put a stand-in in the place of every model that a page loads."""
    st.cache_data.clear()
    st.cache_resource.clear()
    model = StandIn()
    monkeypatch.setattr(classifier.EmotionClassifier, "load", model.load)
    return model


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
