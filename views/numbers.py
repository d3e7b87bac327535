"""What the numbers are: which moment of a sound decided, and the 264 numbers it becomes."""

import hashlib
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

import audio
import charts
import explain
import features
import palette
from classifier import MAX_WHOLE_SECONDS, EmotionClassifier, Prediction
from views import session
from views.text import Numbers as Text
from views.text import percent, plain

SLIGHT = 0.05  # falls of the probability below this decide nothing
NEAREST = 0.6  # opacity of the nearest cell: its number can be read in both themes
WAVE_COLUMNS = 800


@dataclass(frozen=True)
class Explanation:
    """What is shown of a sound of `MAX_WHOLE_SECONDS` at most.

    Attributes:
        prediction: the answer to it.
        occlusion: which moment decided; None where no emotion is named.
        numbers: (264,) of `explain.numbers`, likewise.
        wave: columns time (s), low and high of its waveform.
        seconds: how long it is.
    """

    prediction: Prediction
    occlusion: explain.Occlusion | None
    numbers: np.ndarray | None
    wave: pd.DataFrame
    seconds: float


@st.fragment
def show(
    classifier: EmotionClassifier,
    content: bytes,
    *,
    start: float = 0.0,
    end: float | None = None,
) -> None:
    """Explain what the model says of a recording, or of a stretch of it.

    Call it when somebody wants to see it (in an expander with `on_change="rerun"` that is open): it
    asks the network some forty times.

    Args:
        classifier: `session.classifier()`.
        content: the bytes of a recording that can be read.
        start, end: of the stretch, in seconds (default: all); of more than `MAX_WHOLE_SECONDS` the
            beginning is explained.
    """
    latest = start + MAX_WHOLE_SECONDS
    until = latest if end is None else min(end, latest)
    digest = hashlib.sha256(content).hexdigest()
    found = explanation(session.identity(), digest, start, until, classifier, content)
    if found.occlusion is None or found.numbers is None:
        st.info(Text.NOTHING)
        return
    if start > 0 or end is not None or found.seconds >= MAX_WHOLE_SECONDS:
        st.caption(Text.PART.format(start=start, end=start + found.seconds))
    show_moments(found, found.occlusion, classifier.labels, start)
    show_numbers(classifier, found.prediction, found.numbers)


@st.cache_data(max_entries=100, scope="session", show_spinner=Text.WORKING)
def explanation(
    model: str,
    digest: str,
    start: float,
    end: float,
    _classifier: EmotionClassifier,
    _content: bytes,
) -> Explanation:
    """Return what is shown of a stretch of a recording; `model` and `digest` tell which ones."""
    waveform = audio.load_part(_content, start, end)
    prediction = _classifier.classify_waveform(waveform)
    heard = prediction.emotion is not None
    return Explanation(
        prediction,
        explain.occlude(_classifier, waveform) if heard else None,
        explain.numbers(_classifier, waveform) if heard else None,
        envelope(waveform),
        len(waveform) / audio.SAMPLE_RATE,
    )


def envelope(waveform: np.ndarray) -> pd.DataFrame:
    """Return lowest and highest sample of each of at most `WAVE_COLUMNS` moments."""
    count = min(WAVE_COLUMNS, len(waveform))
    edges = np.linspace(0, len(waveform), count, endpoint=False).astype(int)
    low, high = (extreme.reduceat(waveform, edges) for extreme in (np.minimum, np.maximum))
    return pd.DataFrame({"time": edges / audio.SAMPLE_RATE, "low": low, "high": high}).round(4)


def show_moments(
    found: Explanation, occlusion: explain.Occlusion, labels: tuple[str, ...], start: float
) -> None:
    """Show how the probability of the answer falls when moment after moment is hidden."""
    emotion = found.prediction.emotion
    assert emotion is not None
    number = labels.index(emotion)
    falls = occlusion.falls(number)
    strongest = int(np.argmax(falls))
    length = float(occlusion.ends[0] - occlusion.starts[0])
    whole = percent(occlusion.whole[number])
    decided = falls[strongest] >= SLIGHT
    if decided:
        words = Text.STRONGEST.format(
            start=start + occlusion.starts[strongest],
            end=start + occlusion.ends[strongest],
            emotion=emotion,
            whole=whole,
            hidden=percent(occlusion.hidden[strongest, number]),
        )
        other = labels[int(np.argmax(occlusion.hidden[strongest]))]
        if other != emotion:
            words += " " + Text.BECOMES.format(emotion=other)
    else:
        points = f"{100 * SLIGHT:.0f}"
        words = Text.NO_MOMENT.format(length=length, emotion=emotion, points=points, whole=whole)
    with st.container(key="moments"):
        st.markdown(f"##### {Text.MOMENTS}")
        st.markdown(words)
        band = strongest if decided else None
        st.altair_chart(
            moments_chart(found, occlusion, falls, emotion, start=start, band=band),
            width="stretch",
            alt=Text.MOMENTS_ALT.format(emotion=emotion, strongest=words.replace("*", "")),
        )
        st.caption(Text.MOMENTS_HINT.format(length=length, emotion=emotion))


def show_numbers(
    classifier: EmotionClassifier, prediction: Prediction, numbers: np.ndarray
) -> None:
    """Show the 264 numbers, group by group, beside the averages of the emotions."""
    means = explain.emotion_means(classifier)
    clip = explain.standardise(classifier, numbers)
    names = [name for name, _ in Text.GROUPS]
    with st.container(key="features"):
        st.markdown(f"##### {Text.NUMBERS}")
        st.caption(Text.NO_AVERAGES if means is None else Text.NUMBERS_HINT)
        averages: dict[str, np.ndarray] = {}
        if means is not None:
            standard = explain.standardise(classifier, means)
            averages = dict(zip(classifier.labels, standard, strict=True))
            distances = explain.group_distances(clip, standard)
            nearest = (classifier.labels[i] for i in distances.argmin(axis=1))
            values = ", ".join(
                f"{name} {emotion}" for name, emotion in zip(names, nearest, strict=True)
            )
            st.altair_chart(
                distance_chart(distances, classifier.labels),
                alt=Text.DISTANCES_ALT.format(values=values),
            )
            st.caption(Text.DISTANCES)
        show_group(prediction, clip, averages)
        st.markdown(f"**{Text.TABLE}**")
        st.dataframe(
            table(numbers, means, classifier.labels),
            hide_index=True,
            height=260,
            alt=Text.TABLE_ALT,
        )
        st.caption(Text.TABLE_HINT)


def show_group(prediction: Prediction, clip: np.ndarray, averages: dict[str, np.ndarray]) -> None:
    """Show the numbers of one group, which the visitor chooses."""
    names = [name for name, _ in Text.GROUPS]
    name = st.pills(Text.GROUP, names, default=names[0], required=True, key="group")
    number = names.index(name)
    chosen: list[str] = []
    foremost = sorted(prediction.probabilities, key=prediction.probabilities.__getitem__)[:-3:-1]
    if averages:
        chosen = st.pills(
            Text.COMPARE,
            list(averages),
            selection_mode="multi",
            default=foremost,
            key=f"compare {foremost}",
        )
    others = Text.GROUP_ALT_OTHERS.format(emotions=", ".join(chosen)) if chosen else ""
    shown = {emotion: averages[emotion] for emotion in chosen}
    if chosen:
        st.html(palette.legend(chosen))
    st.altair_chart(
        group_chart(number, clip, shown), alt=Text.GROUP_ALT.format(group=name, others=others)
    )
    st.caption(f"{plain(Text.GROUPS[number][1])} {Text.ZERO}")


def table(numbers: np.ndarray, means: np.ndarray | None, labels: tuple[str, ...]) -> pd.DataFrame:
    """Return one row per number: its name, its value here, and the average of each emotion."""
    columns = {Text.NUMBER: features.FEATURE_NAMES, Text.CLIP: numbers}
    if means is not None:
        columns |= dict(zip(labels, means, strict=True))
    return pd.DataFrame(columns).round(3)


def moments_chart(
    found: Explanation,
    occlusion: explain.Occlusion,
    falls: np.ndarray,
    emotion: str,
    *,
    start: float,
    band: int | None,
) -> alt.VConcatChart:
    """Return the waveform over the fall of the answer, on one time axis, one stretch marked."""
    scale = alt.Scale(domain=[start, start + found.seconds], nice=False)
    ticks = [start + tick for tick in charts.time_ticks(found.seconds)]
    peak = max(found.wave.high.max(), -found.wave.low.min()) or 1.0
    wave = (
        alt.Chart(found.wave.assign(time=found.wave.time + start))
        .mark_area(color=palette.WAVE_COLOR, stroke=palette.WAVE_COLOR, strokeWidth=0.5)
        .encode(
            y=alt.Y("low:Q", scale=alt.Scale(domain=[-peak, peak]), title=Text.AMPLITUDE),
            y2="high:Q",
        )
    )
    points = 100 * falls
    curve = pd.DataFrame(
        {
            "time": start + (occlusion.starts + occlusion.ends) / 2,
            "for": points.clip(min=0),
            "against": points.clip(max=0),
        }
    ).round(3)
    low, high = min(points.min(), -2.0), max(points.max(), 100 * SLIGHT)
    heights = alt.Scale(domain=[1.08 * low, 1.08 * high])
    hills = (
        alt.Chart(curve)
        .mark_area(color=palette.COLORS[emotion], interpolate="monotone")
        .encode(y=alt.Y("for:Q", scale=heights, title=Text.FALL))
    )
    valleys = (
        alt.Chart(curve)
        .mark_area(color=palette.WAVE_COLOR, interpolate="monotone")
        .encode(y=alt.Y("against:Q", scale=heights))
    )
    marked = [] if band is None else [band]
    mark = (
        alt.Chart(
            pd.DataFrame(
                {"time": start + occlusion.starts[marked], "end": start + occlusion.ends[marked]}
            )
        )
        .mark_rect(color=palette.COLORS[emotion], opacity=0.25)
        .encode(x2="end:Q")
    )
    rows = []
    for layers, labels, height in (([mark, wave], False, 90), ([mark, hills, valleys], True, 130)):
        axis = alt.Axis(values=ticks, labels=labels, labelExpr="datum.label + ' s'", title=None)
        x = alt.X("time:Q", scale=scale, axis=axis)
        rows.append(alt.layer(*(layer.encode(x=x) for layer in layers)).properties(height=height))
    # By itself Streamlit stretches no chart that has layers within rows.
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return alt.vconcat(*rows, spacing=6, autosize=fit).configure_axis(**charts.AXIS_TEXT)


def distance_chart(distances: np.ndarray, labels: tuple[str, ...]) -> alt.LayerChart:
    """Return, group by group, how many times as far as the nearest each emotion is."""
    names = [name for name, _ in Text.GROUPS]
    # Groups differ in size and spread: only the distances of one can be compared.
    times = distances / np.maximum(distances.min(axis=1, keepdims=True), 1e-9)
    cells = pd.DataFrame(
        {
            "group": np.repeat(names, len(labels)),
            "emotion": np.tile(labels, len(names)),
            "times": times.ravel(),
            "deviations": distances.ravel(),
            "nearest": (times == times.min(axis=1, keepdims=True)).ravel(),
        }
    ).round(4)
    base = alt.Chart(cells).encode(
        x=alt.X(
            "emotion",
            sort=list(labels),
            title=None,
            axis=alt.Axis(orient="top", labelAngle=-60, labelOverlap=False, **charts.NAMES),
        ),
        y=alt.Y("group", sort=names, title=None, axis=alt.Axis(**charts.NAMES)),
        tooltip=["group", "emotion", alt.Tooltip("deviations", format=".2f")],
    )
    shades = alt.Scale(domain=[1, 2], range=[NEAREST, 0], clamp=True)
    squares = base.mark_rect(color=palette.WAVE_COLOR).encode(
        opacity=alt.Opacity("times", scale=shades, legend=None)
    )
    frames = base.mark_rect(
        filled=False, stroke=palette.TEXT_COLOR, strokeWidth=2
    ).transform_filter("datum.nearest")
    texts = base.mark_text(color=palette.TEXT_COLOR, fontSize=12).encode(
        text=alt.Text("times", format=".1f")
    )
    return (
        (squares + frames + texts)
        .properties(height=70 + 30 * len(names))
        .configure_axis(**charts.AXIS_TEXT)
    )


def group_chart(number: int, clip: np.ndarray, others: dict[str, np.ndarray]) -> alt.LayerChart:
    """Return the numbers of a group as lines; of a few numbers, with a name at each."""
    group = features.FEATURE_GROUPS[number]
    size = group.stop - group.start
    names = {12: Text.NOTES, 4: Text.LAST_FOUR}.get(size)
    lines = [(Text.CLIP, clip, palette.TEXT_COLOR, 3.0)]
    lines += [(emotion, values, palette.COLORS[emotion], 2.0) for emotion, values in others.items()]
    rows = pd.concat(
        pd.DataFrame(
            {
                "place": range(size) if names is None else names,
                "name": features.FEATURE_NAMES[group],
                "value": values[group].round(3),
                "of": of,
                "color": color,
                "width": width,
            }
        )
        for of, values, color, width in reversed(lines)
    )
    if names is None:
        x = alt.X("place:Q", title=None, scale=alt.Scale(domain=[0, size - 1]))
    else:
        x = alt.X("place:N", sort=list(names), title=None, axis=alt.Axis(labelAngle=0))
    base = alt.Chart(rows).encode(
        x=x,
        y=alt.Y("value:Q", title=None),
        color=alt.Color("color:N", scale=None),
        detail="of:N",
        tooltip=["name", "of", alt.Tooltip("value:Q", format=".2f")],
    )
    drawn = base.mark_line().encode(strokeWidth=alt.StrokeWidth("width:Q", scale=None, legend=None))
    points = base.mark_circle(size=40 if names else 12)
    zero = (
        alt.Chart(pd.DataFrame({"value": [0]}))
        .mark_rule(color=palette.TEXT_COLOR, opacity=0.4)
        .encode(y="value:Q")
    )
    return (zero + drawn + points).properties(height=220).configure_axis(**charts.AXIS_TEXT)
