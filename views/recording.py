"""One recording: what the model hears in it, how sure it is, and what lets people judge that."""

from collections.abc import Callable, Sequence

import streamlit as st

import audio
import charts
import palette
import results
import windows
from classifier import EmotionClassifier, Prediction, Segment, settle_pauses
from inputs import Input
from sketch import Sketch, Sketcher
from views import course, hearing, numbers, playing, report, session, teach
from views.course import Stretch
from views.session import Recording
from views.text import Course, Voice, clock, details, headline, percent, plain, sentence
from views.text import Recording as Text

STOPPED = "stopped_listening"  # what is not to be heard further


def show(recording: Recording) -> None:
    """Show all that is known of one recording, and listen to it first if need be."""
    said = listen(recording)
    if isinstance(said, str):
        st.error(plain(f"{recording.name}: {said}"), icon=":material/error:")
        return
    classifier = session.classifier()
    found = hearing.heard(recording)
    if said is None:
        show_stopped(recording, found.segments)
        if not found.segments:
            return
        said = classifier.summarise(found.segments)
    stretches = course.stretches(classifier, found.segments) if found.segments else []
    with st.container(key="recording", border=True):
        show_answer(recording, said, stretches)
        if stretches:
            show_course(recording, classifier, found, stretches)
        else:
            show_sound(recording)
            show_more(recording, said)
        show_downloads(recording, said, found, stretches)


def listen(recording: Recording) -> hearing.Answer | None:
    """Return the answer, with a bar until it is there; None where the visitor stopped it."""
    said = hearing.known(recording)
    if said is not None or as_heard(recording) in stopped():
        return said
    with st.container(horizontal=True, vertical_alignment="center", key="listening"):
        bar, button = st.empty(), st.empty()
    offered = False

    def move(share: float) -> None:
        nonlocal offered
        if not offered:
            button.button(
                Course.STOP,
                on_click=stopped().add,
                args=(as_heard(recording),),
                icon=":material/stop:",
                key="stop_listening",
            )
            offered = True
        segments = hearing.heard(recording).segments
        done = clock(segments[-1].end) if segments else clock(0)
        bar.progress(share, Course.PROGRESS.format(done=done))

    with bar.spinner(Text.LISTENING):
        said = hearing.answer(recording, progress=move)
    bar.empty()
    button.empty()
    return said


def stopped() -> set[tuple[str, str]]:
    """Return the recordings that the visitor stopped, `as_heard`."""
    return st.session_state.setdefault(STOPPED, set())


def as_heard(recording: Recording) -> tuple[str, str]:
    """Return what tells a recording, heard by the chosen model for this voice, from others."""
    return session.identity(), recording.digest


def show_stopped(recording: Recording, segments: Sequence[Segment]) -> None:
    """Say how far a recording was heard, and offer to go on."""
    with st.container(horizontal=True, vertical_alignment="center", key="stopped"):
        st.markdown(Course.STOPPED.format(done=clock(segments[-1].end if segments else 0)))
        st.button(
            Course.GO_ON,
            on_click=stopped().discard,
            args=(as_heard(recording),),
            icon=":material/play_arrow:",
            key="go_on_listening",
        )


def show_answer(recording: Recording, said: Prediction, stretches: Sequence[Stretch]) -> None:
    """Show the emotion in words, the player, warnings, and all probabilities.

    Where a voice is known, what the answer would be at the other position of the switch, too.
    """
    other = hear_otherwise(recording)
    title = Voice.WITHOUT if session.adapted() else Voice.WITH
    answer, bars = st.columns(2, gap="medium")
    with answer:
        name = recording.name
        if recording.label:
            name = f"{name} · {Text.LABELLED.format(emotion=recording.label)}"
        words = headline(said, mixed=course.is_mixed(said, stretches))
        sure = details(said, average=bool(stretches))
        st.html(palette.verdict(name, words, sure, said.emotion))
        if other:
            st.html(palette.aside(title, headline(other), details(other), other.emotion))
        playing.show(recording, alt=Text.PLAYER)
        if said.warning:
            st.warning(plain(sentence(said.warning)), icon=":material/warning:")
    if said.emotion is not None:
        values = {emotion: percent(share) for emotion, share in said.probabilities.items()}
        with bars.container(key="probabilities"):
            st.vega_lite_chart(
                charts.probability_chart(
                    said.probabilities, values, other.probabilities if other else {}
                ),
                alt=Text.PROBABILITIES.format(values=", ".join(map(" ".join, values.items()))),
            )
            if other:
                st.caption(Voice.LINES)


def hear_otherwise(recording: Recording) -> Prediction | None:
    """Return the answer at the other position of the switch, if a voice is known.

    Not of a longer recording, which takes its time: the switch is there for that.
    """
    if not session.known_voice() or hearing.heard(recording).segments:
        return None
    said = hearing.answer(recording, adapt=not session.adapted())
    return said if isinstance(said, Prediction) else None


def show_sound(recording: Recording) -> None:
    """Show waveform and spectrogram."""
    with st.container(key="picture"):
        seconds, chart = picture(recording.digest, recording)
        st.vega_lite_chart(chart, alt=Text.PICTURE.format(seconds=seconds))
        st.caption(Text.PICTURE_HINT)


@st.cache_data(max_entries=100, scope="session", show_spinner=Text.DRAWING)
def picture(digest: str, _recording: Recording) -> tuple[float, charts.Chart]:
    """Return the length in seconds, and the picture of a recording."""
    sketch = draw(_recording)
    chart = charts.sound_chart(sketch, amplitude=Text.AMPLITUDE, frequency=Text.FREQUENCY)
    return sketch.seconds, chart


def draw(recording: Recording) -> Sketch:
    """Return what is drawn of a recording."""
    sketcher = Sketcher()
    for piece in audio.stream(recording.content, seconds=hearing.PIECE_SECONDS):
        sketcher.add(piece)
    return sketcher.sketch()


@st.fragment
def show_course(
    recording: Recording,
    classifier: EmotionClassifier,
    found: hearing.Heard,
    stretches: Sequence[Stretch],
) -> None:
    """Show how emotion changes, between waveform and spectrogram; let a stretch be chosen."""
    st.subheader(Course.TITLE, anchor=False)
    with st.container(key="picture"):
        key = session.identity(), recording.digest, len(found.segments)
        seconds, chart = course_picture(*key, found, classifier.labels)
        values = "; ".join(
            f"{clock(stretch.start)} {course.words(stretch.prediction)}" for stretch in stretches
        )
        st.vega_lite_chart(
            chart, width="stretch", alt=Course.ALT.format(seconds=seconds, values=values)
        )
        st.html(palette.legend(classifier.labels, course.totals(stretches)))
        st.caption(Course.HINT.format(window=windows.WINDOW_SECONDS))
    chosen = course.choose(recording, stretches)
    if chosen:
        show_more(recording, chosen.prediction, stretch=(chosen.start, chosen.end))


@st.cache_data(max_entries=20, scope="session", show_spinner=Text.DRAWING)
def course_picture(
    identity: str, digest: str, segments: int, _found: hearing.Heard, _emotions: tuple[str, ...]
) -> tuple[float, charts.Chart]:
    """Return the length in seconds, and the picture of what was heard of a longer recording."""
    # Segments before the sketch: a run that is about to stop may add to both meanwhile.
    segments_heard = [*_found.segments]
    sketch = _found.sketcher.sketch()
    between = course.chart(segments_heard, _emotions, seconds=sketch.seconds)
    chart = charts.sound_chart(
        sketch, amplitude=Text.AMPLITUDE, frequency=Text.FREQUENCY, course=between
    )
    return sketch.seconds, chart


def show_more(
    recording: Recording, said: Prediction, *, stretch: tuple[float, float] | None = None
) -> None:
    """Offer to teach the model what a recording or stretch was, and to see what it heard."""
    if said.emotion is None:
        return
    start, end = stretch or (None, None)
    if session.teaching():
        with st.expander(Text.TEACH, icon=":material/school:"):
            teach.offer(recording, start=start, end=end)
    closer = st.expander(
        Text.NUMBERS, icon=":material/query_stats:", on_change="rerun", key="numbers"
    )
    if closer.open:
        with closer:
            numbers.show(session.classifier(), recording.content, start=start or 0.0, end=end)


def show_downloads(
    recording: Recording, said: Prediction, found: hearing.Heard, stretches: Sequence[Stretch]
) -> None:
    """Offer a report and, of a longer recording, the table of its segments."""
    manifest = session.plain_classifier().manifest

    def report_file() -> str:
        sound = found.sketcher.sketch() if stretches else draw(recording)
        return report.of_one(recording.name, said, sound, stretches, manifest)

    def table_file() -> str:
        file = Input(recording.name, recording.name, label=recording.label or "")
        rows = [
            results.success(file, segment.prediction, start=segment.start, end=segment.end)
            for segment in settle_pauses(found.segments)
        ]
        return results.csv(results.table(rows, manifest["labels"]))

    with st.container(horizontal=True, key="take_along"):
        download(Text.REPORT, report_file, "html", "text/html")
        if stretches:
            download(Course.CSV, table_file, "csv", "text/csv")


def download(label: str, content: Callable[[], str], ending: str, media_type: str) -> None:
    """Offer a file that is made when it is asked for."""
    st.download_button(
        label,
        content,
        file_name=f"emotion.{ending}",
        mime=media_type,
        icon=":material/download:",
        on_click="ignore",
        key=f"take_{ending}",
    )
