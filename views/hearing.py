"""What the models have heard in recordings, remembered by content for as long as a visit needs it.

The script itself listens. Wherever a click interrupts it, the next run goes on from there.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

import numpy as np
import streamlit as st

import audio
from classifier import MAX_WHOLE_SECONDS, Prediction, Segment
from sketch import PIECE_SAMPLES, Sketcher
from views import session, turns
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


def answer(
    recording: Recording,
    *,
    adapt: bool | None = None,
    progress: Callable[[float], None] | None = None,
) -> Answer:
    """Return the answer about a recording, and listen to what was not heard yet.

    Args:
        recording: any.
        adapt: as in `session.classifier`.
        progress: called with the share that is done, from 0 to 1, during long recordings.

    Raises:
        turns.BusyError: too many others are listened to.
    """
    if recording.error:
        return recording.error
    found = heard(recording, adapt=adapt)
    with found.lock:
        if found.answer is None:
            turns.listening.check()
            try:
                found.answer = _listen(recording, found, adapt, progress)
            except audio.AudioError as error:
                found.answer = str(error).removeprefix("the sound: ")
    return found.answer


def heard(recording: Recording, *, adapt: bool | None = None) -> Heard:
    """Return what the model has heard of a recording, adapted as in `session.classifier`."""
    key = session.identity(adapt=adapt), recording.digest
    places = st.session_state.setdefault("heard", {})
    if key not in places:
        places[key] = _remembered().setdefault(key, Heard())
    return places[key]


def forget(digests: set[str]) -> None:
    """Forget, for this visit, all recordings but these."""
    places = st.session_state.get("heard", {})
    st.session_state["heard"] = {key: found for key, found in places.items() if key[1] in digests}


@st.cache_resource(show_spinner=False)
def _remembered() -> WeakValueDictionary[tuple[str, str], Heard]:
    """Return what any visit still knows: of hours of sound it is too much to keep for long."""
    return WeakValueDictionary()


def _listen(
    recording: Recording,
    found: Heard,
    adapt: bool | None,
    progress: Callable[[float], None] | None,
) -> Prediction:
    pieces = audio.stream(recording.content, seconds=PIECE_SECONDS, progress=progress)
    with turns.listening:
        classifier = session.classifier(adapt=adapt)  # which may have to hear the known voice first
        first = next(pieces)
        if len(first) <= MAX_WHOLE_SECONDS * audio.SAMPLE_RATE:
            return classifier.classify_waveform(first)
    # The last segment is heard again: it need not have been in step with the others.
    start = found.segments[-1].start if found.segments else 0.0
    rest = _behind(itertools.chain([first], pieces), round(start * audio.SAMPLE_RATE), found)
    for segment in turns.listening.share(classifier.stream_segments(rest)):
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
