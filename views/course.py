"""The course of emotion over a longer recording: stretches of one emotion, a click plays one."""

import datetime
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

import charts
import palette
from classifier import EmotionClassifier, Prediction, Segment, settle_pauses
from views import playing
from views.session import Recording
from views.text import Course as Text
from views.text import brief, clock


class Stretch(NamedTuple):
    """Neighbouring windows of one emotion, or of none: seconds, and what was heard there."""

    start: float
    end: float
    prediction: Prediction


def edges(segments: Sequence[Segment]) -> np.ndarray:
    """Return when each window begins to count, and when the last one ends: (segments + 1,) s.

    Windows overlap; the earlier one counts until the middle of what they share.
    """
    middles = [(one.end + other.start) / 2 for one, other in itertools.pairwise(segments)]
    return np.array([segments[0].start, *middles, segments[-1].end])


def stretches(classifier: EmotionClassifier, segments: Sequence[Segment]) -> list[Stretch]:
    """Return the segments of a recording, joined where neighbours carry the same emotion."""
    segments = [*segments]  # more of them may be heard meanwhile
    times = edges(segments)
    found = []
    numbered = enumerate(settle_pauses(segments))
    for _, run in itertools.groupby(numbered, key=lambda pair: pair[1].prediction.emotion):
        numbers, windows = zip(*run, strict=True)
        found.append(
            Stretch(
                float(times[numbers[0]]),
                float(times[numbers[-1] + 1]),
                classifier.summarise(windows),
            )
        )
    return found


def chart(segments: Sequence[Segment], emotions: Sequence[str], *, seconds: float) -> charts.Chart:
    """Return the course as a chart."""
    settled = settle_pauses(segments)
    shares = np.array([list(segment.prediction.probabilities.values()) for segment in settled])
    return charts.course_chart(edges(segments), shares, emotions, seconds=seconds, title=Text.SHARE)


def is_mixed(said: Prediction, found: Sequence[Stretch]) -> bool:
    """Tell whether a recording as a whole is doubtful because its parts differ.

    That is, whether most of what was heard in it is not doubtful by itself.
    """
    seconds = {True: 0.0, False: 0.0}
    for stretch in found:
        if stretch.prediction.emotion:
            seconds[stretch.prediction.uncertain] += stretch.end - stretch.start
    return said.uncertain and seconds[False] > seconds[True]


def totals(found: Sequence[Stretch]) -> dict[str, str]:
    """Return for how long each emotion was the most probable one, on the clock."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for stretch in found:
        if stretch.prediction.emotion:
            seconds[stretch.prediction.emotion] += stretch.end - stretch.start
    return {emotion: clock(total) for emotion, total in seconds.items()}


def choose(recording: Recording, found: Sequence[Stretch]) -> Stretch | None:
    """Show the stretches in a table, and play the one that is chosen; return it, if any."""
    st.caption(Text.TABLE)
    time_format = "H:mm:ss" if found[-1].end >= 3600 else "m:ss"
    state = st.dataframe(
        pd.DataFrame(
            {
                Text.START: [on_clock(stretch.start) for stretch in found],
                Text.END: [on_clock(stretch.end) for stretch in found],
                Text.DOT: [
                    palette.dot_url(stretch.prediction.emotion)
                    if stretch.prediction.emotion
                    else ""
                    for stretch in found
                ],
                Text.EMOTION: [words(stretch.prediction) for stretch in found],
                Text.CONFIDENCE: [
                    100 * stretch.prediction.confidence if stretch.prediction.emotion else None
                    for stretch in found
                ],
            }
        ),
        hide_index=True,
        column_config={
            Text.START: st.column_config.TimeColumn(format=time_format, width=50),
            Text.END: st.column_config.TimeColumn(format=time_format, width=50),
            Text.DOT: st.column_config.ImageColumn("", width=28),
            Text.EMOTION: st.column_config.Column(width=125),
            Text.CONFIDENCE: st.column_config.ProgressColumn(
                format="%.0f%%", min_value=0, max_value=100, width=72
            ),
        },
        on_select="rerun",
        selection_mode="single-cell",
        alt=Text.TABLE_ALT,
        key=f"stretches-{recording.digest[:16]}-{len(found)}",
    )
    rows = [row for row, _ in state.selection.cells if row < len(found)]
    if not rows:
        return None
    chosen = found[rows[0]]
    start, end = clock(chosen.start), clock(chosen.end)
    with st.container(key="slice"):
        st.markdown(Text.SLICE.format(start=start, end=end, emotion=words(chosen.prediction)))
        alt = Text.PLAYER.format(start=start, end=end)
        playing.show_stretch(recording, chosen.start, chosen.end, alt=alt)
    return chosen


def on_clock(seconds: float) -> datetime.time:
    """Return a time that tables can sort by."""
    return (datetime.datetime.min + datetime.timedelta(seconds=int(seconds))).time()


def words(prediction: Prediction) -> str:
    """Return what is heard in a stretch, in a word or two."""
    return Text.PAUSE if prediction.emotion is None else brief(prediction)
