"""What the models have heard in recordings, remembered by content for all visits of the server.

The script itself listens. Wherever a click interrupts it, the next run goes on from there.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st

import audio
from classifier import MAX_WHOLE_SECONDS, Prediction, Segment
from sketch import PIECE_SAMPLES, Sketcher
from views import session
from views.session import Recording

Answer = Prediction | str  # what the model says of a recording, or why it cannot be heard

PIECE_SECONDS = PIECE_SAMPLES / audio.SAMPLE_RATE


@dataclass
class Heard:
    """What is known of a recording so far.

    Attributes:
        answer: None until all of it was heard.
        segments: of a longer recording, as far as it was heard.
        sketcher: has seen that part.
        lock: held by whoever is listening.
    """

    answer: Answer | None = None
    segments: list[Segment] = field(default_factory=list)
    sketcher: Sketcher = field(default_factory=Sketcher)
    lock: threading.Lock = field(default_factory=threading.Lock)


def known(recording: Recording) -> Answer | None:
    """Return the answer about a recording; None if not all of it was heard yet."""
    return recording.error or heard(recording).answer


def answer(recording: Recording, *, progress: Callable[[float], None] | None = None) -> Answer:
    """Return the answer about a recording, and listen to what was not heard yet.

    Args:
        recording: any.
        progress: called with the share that is done, from 0 to 1, during long recordings.
    """
    if recording.error:
        return recording.error
    found = heard(recording)
    with found.lock:
        if found.answer is None:
            try:
                found.answer = _listen(recording, found, progress)
            except audio.AudioError as error:
                found.answer = str(error).removeprefix("the sound: ")
    return found.answer


def heard(recording: Recording) -> Heard:
    """Return what the model, adapted or not, has heard of a recording."""
    key = session.identity(), recording.digest
    # In the session, too: others may bring more than the server remembers.
    places = st.session_state.setdefault("heard", {})
    if key not in places:
        places[key] = _remembered(*key)
    return places[key]


def forget(digests: set[str]) -> None:
    """Forget, for this visit, all recordings but these."""
    places = st.session_state.get("heard", {})
    st.session_state["heard"] = {key: found for key, found in places.items() if key[1] in digests}


# Were the answer itself cached, Streamlit would draw its progress again at each rerun.
@st.cache_resource(max_entries=500, show_spinner=False)
def _remembered(identity: str, digest: str) -> Heard:
    return Heard()


def _listen(
    recording: Recording, found: Heard, progress: Callable[[float], None] | None
) -> Prediction:
    classifier = session.classifier()
    pieces = audio.stream(recording.content, seconds=PIECE_SECONDS, progress=progress)
    first = next(pieces)
    if len(first) <= MAX_WHOLE_SECONDS * audio.SAMPLE_RATE:
        return classifier.classify_waveform(first)
    # The last segment is heard again: it need not have been in step with the others.
    start = found.segments[-1].start if found.segments else 0.0
    rest = _behind(itertools.chain([first], pieces), round(start * audio.SAMPLE_RATE), found)
    for segment in classifier.stream_segments(rest):
        segment = replace(segment, start=start + segment.start, end=start + segment.end)
        if found.segments and found.segments[-1].start == segment.start:
            found.segments.pop()
        found.segments.append(segment)
    return classifier.summarise(found.segments)


def _behind(pieces: Iterator[np.ndarray], start: int, found: Heard) -> Iterator[np.ndarray]:
    """Yield what lies behind a sample of a waveform, and sketch what was not sketched yet."""
    place = 0
    for number, piece in enumerate(pieces):
        if number == found.sketcher.pieces:
            found.sketcher.add(piece)
        new = piece[max(0, start - place) :]
        place += len(piece)
        if len(new):
            yield new
