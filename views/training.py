"""Training a model of one's own: what it learns, how it goes, and what it was worth."""

import contextlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

import charts
import corpora
import evaluation
import my_recordings
import palette
import retraining
from audio import AudioError
from classifier import EmotionClassifier, ModelError
from my_recordings import Kept, NotKeptError
from protocols import ProtocolError
from retraining import Training
from views import session
from views.text import Page, plain, sentence
from views.text import Teach as Text

POLL_SECONDS = 2.0  # between two looks at a training
SELDOM = 0.05  # a difference that is more likely by chance says nothing (retraining.chance)


def show(kept: Sequence[Kept]) -> None:
    """Show the training that runs or ended, compare models, and ask for another training."""
    st.subheader(Text.TRAINING, anchor=False)
    try:
        training = retraining.last()
    except retraining.RetrainingError as error:  # not on this system
        st.info(plain(str(error)))
        show_comparison(kept, None)
        return
    except OSError as error:
        say_unwritten(error)
        show_comparison(kept, None)
        return
    if training and training.state == "finished":
        show_finished(training)
        # What it was worth comes before the next one is asked for.
        show_comparison(kept, training)
        st.subheader(Text.ANOTHER, anchor=False)
        ask_for_training(kept)
        return
    if training and training.state == "running":
        st.fragment(watch, run_every=POLL_SECONDS)()
    elif training:
        show_interrupted(training)
    else:
        ask_for_training(kept)
    show_comparison(kept, training)


def say_unwritten(error: OSError) -> None:
    """Show why the disk took nothing, or let nothing go."""
    st.error(plain(Text.NOT_WRITTEN.format(reason=error.strerror or error)))


def watch() -> None:
    """Show a training that runs; once it has ended, the whole page anew."""
    training = retraining.last()
    if training is None or training.state != "running":
        st.rerun()
    with st.container(border=True, key="training"):
        st.markdown(Text.RUNNING.format(model=training.model))
        steps = [line for line in training.lines if "step" in line]
        if steps:
            step = steps[-1]
            share = step["done"] / step["total"]
            text = Text.STEPS[step["step"]].format(share=share, **step)
            st.progress(share, text + time_left(steps))
        else:
            st.progress(0.0, Text.STARTING)
        show_curve(training)
        st.button(Text.STOP, on_click=retraining.stop, icon=":material/stop:", key="stop_training")
        st.caption(Text.LEAVE)


def time_left(steps: Sequence[dict[str, Any]]) -> str:
    """Return in words how long the step that is under way will take; '' while that is unknown."""
    last = steps[-1]
    # Since it was last started: before that, it may have rested.
    first = [*itertools.takewhile(lambda line: line["step"] == last["step"], reversed(steps))][-1]
    done = last["done"] - first["done"]
    if not done or last["done"] == last["total"]:
        return ""
    left = (last["time"] - first["time"]) / done * (last["total"] - last["done"])
    return Text.TIME_LEFT.format(minutes=max(1, math.ceil(left / 60)))


def show_curve(training: Training) -> None:
    """Show how the error in training went down, pass by pass."""
    lines = pd.DataFrame([line for line in training.lines if "loss" in line])
    if lines.empty:
        return
    curve = lines.groupby("epoch", as_index=False).loss.mean()
    chart = (
        alt.Chart(curve)
        .mark_line(color=palette.WAVE_COLOR, point={"color": palette.WAVE_COLOR})
        .encode(
            x=alt.X(
                "epoch",
                title=Text.EPOCH,
                scale=alt.Scale(domain=[1, int(lines.epochs.max())]),
                axis=alt.Axis(format="d", tickMinStep=1),
            ),
            y=alt.Y("loss", title=Text.LOSS, scale=alt.Scale(domainMin=0)),
            tooltip=[
                alt.Tooltip("epoch", title=Text.EPOCH),
                alt.Tooltip("loss", title=Text.LOSS, format=".2f"),
            ],
        )
        .properties(height=200)
        .configure_axis(**charts.AXIS_TEXT)
    )
    values = {"first": curve.loss.iloc[0], "last": curve.loss.iloc[-1]}
    st.altair_chart(chart, alt=Text.CURVE_ALT.format(passes=int(curve.epoch.iloc[-1]), **values))


def show_finished(training: Training) -> None:
    """Show that the last training came to its end, and how."""
    st.success(Text.FINISHED.format(model=training.model), icon=":material/check_circle:")
    with st.expander(Text.CURVE):
        show_curve(training)


def show_interrupted(training: Training) -> None:
    """Show why the last training did not come to its end, and what can be done about it."""
    if training.state == "failed":
        st.error(plain(sentence(training.error)), icon=":material/error:")
    else:
        st.warning(Text.STOPPED.format(model=training.model), icon=":material/warning:")
        show_curve(training)
    with st.container(horizontal=True):
        st.button(Text.GO_ON, on_click=go_on, icon=":material/play_arrow:", key="go_on_training")
        st.button(Text.FORGET, on_click=forget, icon=":material/close:", key="forget_training")


def go_on() -> None:
    """Let the last training go on, unless another visit was faster."""
    try:
        with contextlib.suppress(retraining.RetrainingError):
            retraining.go_on()
    except OSError as error:
        say_unwritten(error)


def forget() -> None:
    """Forget the last training, unless another visit let it go on."""
    try:
        with contextlib.suppress(retraining.BusyError):
            retraining.forget()
    except OSError as error:
        say_unwritten(error)


def ask_for_training(kept: Sequence[Kept]) -> None:
    """Ask what to train on, say what that means and takes, and begin."""
    if not kept:
        st.caption(Text.NOTHING_TO_LEARN)
        return
    clips, left_out = count_clips(tuple(retraining.sources()))
    for reason in left_out:
        st.caption(plain(reason))
    chosen: list[Path] = []
    if clips:
        chosen = st.pills(
            Text.SOURCES,
            list(clips),
            selection_mode="multi",
            default=list(clips),
            format_func=lambda source: Text.SOURCE.format(name=source.stem, clips=clips[source]),
            help=Text.SOURCES_HINT,
            key="sources",
        )
    else:
        st.info(Text.NO_SOURCES, icon=":material/lightbulb:")
    aside = retraining.set_aside(kept)
    st.markdown(explain(kept, aside))
    network = session.plain_classifier().manifest["network"]
    total = sum(clips[source] for source in chosen) + len(kept) - len(aside)
    minutes = retraining.minutes(total, network=network)
    st.caption(Text.TAKES.format(clips=total, minutes=minutes))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(Text.NAME, free_name(), max_chars=my_recordings.MAX_NAME, key="name")
        start = st.button(Text.START, type="primary", icon=":material/school:", key="start")
    if not start:
        return
    try:
        with st.spinner(Text.STARTING):
            retraining.start(name, kept, sources=chosen, network=network)
    except (
        retraining.RetrainingError,
        corpora.CorpusError,
        ProtocolError,
        NotKeptError,
    ) as error:
        st.error(plain(str(error)), icon=":material/error:")
    except OSError as error:
        say_unwritten(error)
    else:
        st.rerun()


@st.cache_data(max_entries=4, ttl=600, show_spinner=Text.LOOKING)
def count_clips(sources: tuple[Path, ...]) -> tuple[dict[Path, int], list[str]]:
    """Return how many clips each source holds, and why others are left out."""
    clips, left_out = {}, []
    for source in sources:
        try:
            clips[source] = len(corpora.scan(source))
        except corpora.CorpusError as error:
            left_out.append(str(error))
    return clips, left_out


def explain(kept: Sequence[Kept], aside: set[Kept]) -> str:
    """Return in words which clips are set aside, and why."""
    voices = {clip.voice for clip in aside}
    learned = {clip.voice for clip in kept if clip not in aside}
    values = {"learned": len(kept) - len(aside), "aside": len(aside)}
    if not aside:
        text = Text.NONE_ASIDE
    elif voices & learned:
        text = Text.SOME_ASIDE
    else:
        text = Text.VOICES_ASIDE
    return text.format(voices=", ".join(sorted(voices)), **values) + Text.CALIBRATION


def free_name() -> str:
    """Return a name that no model has yet."""
    number = 1
    while (retraining.MODELS / f"{retraining.PREFIX}voice-{number}").exists():
        number += 1
    return f"voice-{number}"


def show_comparison(kept: Sequence[Kept], training: Training | None) -> None:
    """Show two models side by side on clips that neither has learned, and let one be chosen."""
    folders = session.model_folders()
    own = [folder for folder in folders if folder.name not in session.SHIPPED]
    if not own:
        return
    st.subheader(Text.COMPARISON, anchor=False)
    trained = [n for n, folder in enumerate(own) if training and folder.name == training.model]
    first = trained[0] if trained else 0
    left, right = st.columns(2)
    new = right.selectbox(
        Text.NEW,
        own,
        index=first,
        format_func=title,
        key=f"new_model-{own[first].name}",  # after another training, another choice
    )
    others = [folder for folder in folders if folder != new]
    old = left.selectbox(Text.OLD, others, format_func=title, key="old_model")
    try:
        models = [session.load(folder) for folder in (old, new)]
    except ModelError as error:
        st.error(plain(str(error)))
        return
    manifests = [model.manifest for model in models]
    clips = [
        clip
        for clip in retraining.unlearned(kept, manifests)
        if all(clip.emotion in model.labels for model in models)
    ]
    if clips:
        said = [answers(model, clips) for model in models]
        labels = [clip.emotion for clip in clips]
        show_scores(labels, said, [title(old), title(new)])
        learned = set(kept) - set(retraining.unlearned(kept, manifests))
        known = {clip.voice for clip in learned}
        st.markdown(verdict(labels, *said, known=any(clip.voice in known for clip in clips)))
        show_answers(clips, said)
    else:
        st.info(Text.NOTHING_TO_COMPARE, icon=":material/info:")
    for column, folder in zip(st.columns(2), (old, new), strict=True):
        chosen = folder == session.chosen_model()
        column.button(
            (Text.CHOSEN if chosen else Text.USE).format(model=title(folder)),
            on_click=choose,
            args=(folder.name,),
            disabled=chosen,
            icon=":material/check:" if chosen else None,
            width="stretch",
            key=f"use-{folder.name}",
        )


def title(folder: Path) -> str:
    """Return what a model is called."""
    return Page.MODELS[folder.name][0] if folder.name in Page.MODELS else folder.name


def answers(model: EmotionClassifier, clips: Sequence[Kept]) -> list[str]:
    """Return the emotion that a model hears in each clip, and show how far it is."""
    said: list[str] = []
    bar = st.empty()
    for number, clip in enumerate(clips):
        place = place_of_answer(model.manifest["files"], clip.file.name)
        if not place:
            bar.progress(number / len(clips), Text.LISTENING)
            try:
                place.append(model.classify(clip.file).emotion or Text.NO_ANSWER)
            except AudioError:  # deleted meanwhile
                place.append(Text.NO_ANSWER)
        said.append(place[0])  # two visits may have listened at once
    bar.empty()
    return said


@st.cache_resource(max_entries=4000, show_spinner=False)
def place_of_answer(model: dict[str, str], clip: str) -> list[str]:
    """Return the list, empty at first, that holds what a model says of a clip."""
    return []


def show_scores(
    labels: Sequence[str], said: Sequence[Sequence[str]], titles: Sequence[str]
) -> None:
    """Show how many answers of each model are right."""
    for column, answers, name in zip(st.columns(2, border=True), said, titles, strict=True):
        right = sum(map(str.__eq__, labels, answers))
        column.metric(Text.RIGHT.format(model=name), Text.OF.format(right=right, clips=len(labels)))
        column.caption(Text.UAR.format(uar=evaluation.uar(labels, answers)))


def verdict(labels: Sequence[str], old: Sequence[str], new: Sequence[str], *, known: bool) -> str:
    """Return in words which model does better, if the clips are enough to tell.

    Args:
        labels: of the clips.
        old, new: what the models said.
        known: one of them has learned other clips of some of these voices.
    """
    right = [(label == a, label == b) for label, a, b in zip(labels, old, new, strict=True)]
    only_old, only_new = right.count((True, False)), right.count((False, True))
    likely = retraining.chance(only_old, only_new)
    if likely > SELDOM:
        words = Text.CANNOT_TELL
    else:
        words = Text.BETTER if only_new > only_old else Text.WORSE
    scope = Text.KNOWN_VOICES if known else Text.UNHEARD_VOICES
    counts = {"clips": len(labels), "only_old": only_old, "only_new": only_new}
    return f"{words.format(likely=likely, **counts)} {scope}"


def show_answers(clips: Sequence[Kept], said: Sequence[Sequence[str]]) -> None:
    """Show what the two models said of each clip."""
    with st.expander(Text.ANSWERS):
        st.dataframe(
            pd.DataFrame(
                {
                    Text.EMOTION: [clip.emotion for clip in clips],
                    Text.WHOSE: [clip.voice for clip in clips],
                    Text.OLD: said[0],
                    Text.NEW: said[1],
                }
            ),
            hide_index=True,
            alt=Text.ANSWERS_ALT,
        )


def choose(name: str) -> None:
    """Let this visit be answered by another model."""
    st.session_state[session.MODEL] = name
