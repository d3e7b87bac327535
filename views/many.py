"""Many recordings: rows as they come, what they have in common, how right it was, and downloads.

The script works for a moment, then runs again and shows what has come of it: meanwhile the table
can be sorted and a row be opened, and no click waits long. An answer is remembered as soon as it is
there, so stopping loses nothing.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

import charts
import corpora
import palette
import results
from inputs import Input
from views import hearing, recording, report, session
from views.hearing import Answer
from views.report import Judged
from views.session import Recording
from views.text import Many as Text
from views.text import Page, brief, plain, sentence
from views.turns import BusyError

MOMENT = 1.0  # seconds of work until the page shows what has come of it
MEDIA_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/octet-stream",
    "html": "text/html",
}
# Streamlit's own download of a table would hold what a spreadsheet runs as a formula.
NO_RAW_CSV = """<style>
.st-key-overview [data-testid=stElementToolbarButton]:has([aria-label^="Download as CSV"]) {
    display: none;
}
</style>"""

PACE = "pace"  # key of what the session keeps: seconds that listening took, and of how many bytes

Move = Callable[[int, float], None]  # the bar, to a recording by its number and the share done


def show(recordings: list[Recording]) -> None:
    """Show the answers about many recordings, and get those that are missing."""
    answers = [(one, hearing.known(one)) for one in recordings]
    waiting = [one for one, said in answers if said is None]
    done = [one for one, said in answers if said is not None]
    judged = [(as_input(one), said) for one, said in answers if said is not None]
    chosen = None
    with st.container(key="overview"):
        st.html(NO_RAW_CSV)
        st.subheader(Text.TITLE.format(count=len(recordings)), anchor=False)
        move = show_progress(recordings, waiting)
        if judged:
            show_distribution(judged)
            show_evaluation(judged)
            show_downloads(judged, left_out=len(waiting))
            names = [one.name for one in recordings]
            chosen = show_table(judged, names)  # last: what it opens comes below it
    if chosen is not None:
        recording.show(done[chosen])
    if move:
        work(waiting, move)
        st.rerun()


def as_input(one: Recording) -> Input:
    """Return what is known of a recording as the command knows it of a file."""
    clip = corpora.parse_name(one.name)
    return Input(one.name, one.name, label=one.label or "", corpus=clip.corpus if clip else "")


def show_progress(recordings: list[Recording], waiting: list[Recording]) -> Move | None:
    """Show how much is done, and a button to stop or to go on.

    Returns:
        What moves the bar through those that are waiting; None if nothing is to be done.
    """
    if not waiting:
        return None
    count, done = len(recordings), len(recordings) - len(waiting)
    with st.container(horizontal=True, vertical_alignment="center", key="progress"):
        if all(recording.as_heard(one) in recording.stopped() for one in waiting):
            st.markdown(Text.STOPPED.format(done=done, count=count))
            st.button(
                Text.GO_ON,
                on_click=forget_stop,
                args=(waiting,),
                icon=":material/play_arrow:",
                key="go_on",
            )
            return None
        bar = st.empty()
        st.button(Text.STOP, on_click=stop, args=(waiting,), icon=":material/stop:", key="stop")

    def move(number: int, share: float) -> None:
        text = Text.PROGRESS.format(number=done + number + 1, count=count)
        size = sum(len(one.content) for one in waiting[number:])
        bar.progress((done + number + share) / count, f"{text}{time_left(size)}")

    move(0, 0)
    return move


def stop(waiting: Sequence[Recording]) -> None:
    """Go no further with these recordings."""
    recording.stopped().update(map(recording.as_heard, waiting))


def forget_stop(waiting: Sequence[Recording]) -> None:
    """Go on."""
    recording.stopped().difference_update(map(recording.as_heard, waiting))


def time_left(size: int) -> str:
    """Return in words how long so many bytes take at the pace so far; '' before there is one."""
    seconds, heard = st.session_state.get(PACE, (0.0, 0))
    if not heard:
        return ""
    left = size * seconds / heard
    if left < 10:
        return Text.SOON
    if left < 90:
        return Text.SECONDS_LEFT.format(seconds=round(left, -1))
    return Text.MINUTES_LEFT.format(minutes=round(left / 60))


def work(waiting: Sequence[Recording], move: Move) -> None:
    """Get answers for a moment, at least one."""
    end = time.monotonic() + MOMENT
    for number, one in enumerate(waiting):
        start = time.monotonic()
        try:
            hearing.answer(one, progress=partial(move, number))
        except BusyError:
            raise
        except Exception as error:  # a surprise in one must not cost the others their answers
            hearing.heard(one).answer = Text.FAILED.format(error=error)
        seconds, size = st.session_state.get(PACE, (0.0, 0))
        st.session_state[PACE] = seconds + time.monotonic() - start, size + len(one.content)
        if time.monotonic() > end:
            break


def show_distribution(judged: Sequence[Judged]) -> None:
    """Show how often each emotion was named."""
    counts = report.distribution(judged)
    if not counts:
        return
    values = ", ".join(f"{emotion} {sure + unsure}" for emotion, (sure, unsure) in counts.items())
    st.vega_lite_chart(distribution_chart(counts), alt=Text.DISTRIBUTION_ALT.format(values=values))
    rest = len(judged) - sum(map(sum, counts.values()))
    st.caption(Text.DISTRIBUTION_HINT + (Text.REST.format(count=rest) if rest else ""))


def show_evaluation(judged: Sequence[Judged]) -> None:
    """Show how the answers compare with the labels, where there are any."""
    manifest = session.plain_classifier().manifest
    counted = report.summary(judged)
    found = counted.evaluate()
    if not found:
        return
    with st.container(key="evaluation", border=True):
        st.markdown(f"**{Text.EVALUATION}**")
        for column, (title, value, hint) in zip(
            st.columns(3),
            (
                (Text.ACCURACY, f"{found.accuracy:.0%}", Text.ACCURACY_HINT),
                (Text.UAR, f"{found.uar:.0%}", Text.UAR_HINT),
                (Text.COMPARED, found.matrix.sum(), Text.COMPARED_HINT),
            ),
            strict=True,
        ):
            column.metric(title, value, help=hint)
        for caveat in results.caveats(counted, manifest)[:1]:  # the others are under The model
            st.caption(plain(caveat))
        closer = st.expander(Text.BY_EMOTION, on_change="rerun", key="by_emotion")
        if closer.open:
            with closer:
                show_by_emotion(found)


def show_by_emotion(found: results.Evaluation) -> None:
    """Show how well each emotion is found, and what is taken for what."""
    scores = {emotion: f"{score:.0%}" for emotion, score in found.f1.items()}
    st.vega_lite_chart(
        charts.probability_chart(found.f1, scores),
        alt=Text.F1_ALT.format(values=", ".join(map(" ".join, scores.items()))),
    )
    st.caption(Text.F1_HINT)
    st.vega_lite_chart(
        charts.confusion_chart(found.matrix, found.emotions, truth=Text.LABEL, taken=Text.TAKEN),
        alt=Text.CONFUSION_ALT,
    )
    st.caption(Text.CONFUSION_HINT)


def show_table(judged: Sequence[Judged], names: list[str]) -> int | None:
    """Show one row per recording, and return the number of the one that is opened.

    Args:
        judged: the recordings that have an answer.
        names: of all recordings.
    """
    order = [*corpora.EMOTIONS, Text.UNSURE, Text.OTHER, Text.NOTHING, Text.UNREAD]
    met = {kind for found in judged for kind in kinds(*found)}
    wanted = st.pills(
        Text.FILTER, sorted(met, key=order.index), selection_mode="multi", key="filter"
    )
    numbers = [i for i, found in enumerate(judged) if not wanted or kinds(*found) & set(wanted)]
    columns = [Text.DOT, Text.EMOTION, Text.CONFIDENCE, Text.LABEL, Text.FILE, Text.NOTE]
    if not any(file.label for file, _ in judged):
        columns.remove(Text.LABEL)
    st.caption(Text.TABLE_HINT)
    state = st.dataframe(
        pd.DataFrame([row(*judged[number]) for number in numbers], columns=columns),
        hide_index=True,
        column_config={  # as many as a phone is wide for, the answer first
            Text.DOT: st.column_config.ImageColumn("", width=28),
            Text.EMOTION: st.column_config.Column(width=130),
            Text.CONFIDENCE: st.column_config.ProgressColumn(
                format="%.0f%%", min_value=0, max_value=100, width=90
            ),
            Text.LABEL: st.column_config.Column(width=80),
            Text.FILE: st.column_config.Column(width=280),
            Text.NOTE: st.column_config.Column(width=250),
        },
        on_select="rerun",
        selection_mode="single-cell",
        alt=Text.TABLE_ALT,
        # Another choice of rows is another table: what is opened is known by its place alone.
        key=f"table-{hash(tuple(wanted + names))}",
    )
    chosen = [numbers[place] for place, _ in state.selection.cells if place < len(numbers)]
    return chosen[0] if chosen else None


def kinds(file: Input, said: Answer) -> set[str]:
    """Return what a recording can be filtered by: its emotion, and what is odd about it."""
    if isinstance(said, str):
        return {Text.UNREAD}
    if said.emotion is None:
        return {Text.NOTHING}
    odd = {Text.UNSURE: said.uncertain, Text.OTHER: file.label not in ("", said.emotion)}
    return {said.emotion, *(kind for kind, applies in odd.items() if applies)}


def row(file: Input, said: Answer) -> dict[str, str | float | None]:
    """Return the cells of a recording."""
    if isinstance(said, str):
        dot, emotion, confidence, note = "", Page.UNREADABLE, None, said
    else:
        dot = palette.dot_url(said.emotion) if said.emotion else ""
        confidence = 100 * said.confidence if said.emotion else None
        emotion, note = brief(said), said.warning
    return {
        Text.DOT: dot,
        Text.FILE: file.path,
        Text.EMOTION: emotion,
        Text.CONFIDENCE: confidence,
        Text.LABEL: file.label,
        Text.NOTE: sentence(note),
    }


def show_downloads(judged: Sequence[Judged], *, left_out: int) -> None:
    """Offer the table in three formats, and a report; each is made when it is asked for."""
    manifest = session.plain_classifier().manifest
    files: dict[str, Callable[[], bytes | str]] = {
        ending: partial(encode, judged, manifest["labels"], ending)
        for ending in ("csv", "json", "parquet")
    }
    files["html"] = partial(report.of_many, judged, manifest, left_out=left_out)
    st.caption(Text.DOWNLOAD)
    with st.container(horizontal=True, key="downloads"):
        for ending, content in files.items():
            st.download_button(
                Text.FORMATS[ending],
                content,
                file_name=f"emotions.{ending}",
                mime=MEDIA_TYPES[ending],
                icon=":material/download:",
                on_click="ignore",
                key=f"download_{ending}",
            )


def encode(judged: Sequence[Judged], emotions: Sequence[str], ending: str) -> bytes:
    """Return the content of the file that `test_model.py --output` writes."""
    table = results.table([report.row(*found) for found in judged], emotions)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"emotions.{ending}")
        results.write_table([table], file)
        return file.read_bytes()


def distribution_chart(counts: dict[str, tuple[int, int]]) -> charts.Chart:
    """Return one bar per emotion: how many answers are sure and, paler, how many are not."""
    rows = [
        {"emotion": name, "sure": sure, "all": sure + unsure, "color": palette.COLORS[name]}
        for name, (sure, unsure) in counts.items()
    ]
    most = max(map(sum, counts.values()))
    count = {"type": "quantitative", "axis": None, "scale": {"domain": [0, 1.1 * most]}}
    every, sure = count | {"field": "all"}, count | {"field": "sure"}
    color, bar = charts.EMOTION_COLOR, {"type": "bar", "height": 16}
    return {
        "data": {"values": rows},
        "height": 26 * len(rows),
        "encoding": {
            "y": charts.EMOTION_ROW,
            "tooltip": [{"field": field} for field in ("emotion", "all", "sure")],
        },
        "layer": [
            {
                "mark": bar | {"opacity": report.UNSURE_OPACITY},
                "encoding": {"x": every, "color": color},
            },
            {"mark": bar, "encoding": {"x": sure, "color": color}},
            {"mark": charts.BAR_TEXT, "encoding": {"x": every, "text": {"field": "all"}}},
        ],
    }
