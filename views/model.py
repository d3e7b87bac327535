"""The model, honestly: on what it was tested, what it takes for what, and what it is not for.

Every figure comes from the manifest of the chosen model; but for its speed, which is measured here.
"""

import json
import statistics
import time
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

import charts
import classifier
import evaluation
import palette
import windows
from model_folder import MANIFEST
from views import examples, session
from views.text import Model as Text
from views.text import Page, plain

Record = dict[str, Any]  # of a test, as in a manifest's `metrics`

PROTOCOLS = tuple(Text.PROTOCOLS)  # in the order of their weight for a visitor
SPEED_RUNS = 9


def page() -> None:
    """Draw the page about the chosen model."""
    model = session.plain_classifier()
    st.title(Page.MODEL_PAGE, anchor=False)
    folder = session.chosen_model().name
    title, caption = Page.MODELS.get(folder, (plain(folder), Page.OWN_MODEL))
    st.markdown(f"**{title}.** {caption} {Text.SWITCH}")
    st.markdown(Text.INTRO)
    show_tests(model.manifest)
    show_data(model.manifest)
    show_speed(model)
    show_limits(model)
    show_facts(model.manifest)


def show_tests(manifest: dict[str, Any]) -> None:
    """Show the figures of one test set, chosen by the visitor, under each protocol."""
    tests = by_test(manifest["metrics"])
    st.subheader(Page.SCORES, anchor=False)
    if not tests:
        st.info(Text.NOT_TESTED)
        return
    test = next(iter(tests))
    if len(tests) > 1:
        test = st.pills(
            Text.TEST,
            list(tests),
            default=test,
            required=True,
            key="test",
            bind="query-params",
            format_func=plain,
        )
    records = tests[test]
    show_scores(records)
    if len(tests) > 1:
        with st.expander(Text.ALL_TESTS):
            scores = [record for records in tests.values() for record in records]
            values = (
                f"{record['test']}, {name(record).lower()}: {record['uar']:.0%}"
                for record in scores
            )
            alt_text = Text.ALL_TESTS_ALT.format(values="; ".join(values))
            st.altair_chart(interval_chart(scores), alt=alt_text)
            st.caption(Text.ALL_TESTS_HINT)
    show_emotions(records)
    show_confusion(records)
    show_certainty(records[0])
    show_voices(records[0])


def by_test(records: list[Record]) -> dict[str, list[Record]]:
    """Return the records by test set, that which is most like what visitors bring first.

    That is speech without song, and as many emotions as there are. Within a test set, the record on
    unheard voices comes first.
    """
    tests: dict[str, list[Record]] = {}
    for record in sorted(records, key=evaluation.likeness):
        tests.setdefault(record["test"], []).append(record)
    for found in tests.values():
        found.sort(key=lambda record: PROTOCOLS.index(record["protocol"]))
    return tests


def name(record: Record) -> str:
    """Return what a protocol is called here."""
    return Text.PROTOCOLS[record["protocol"]]


def show_scores(records: list[Record]) -> None:
    """Show the UAR under each protocol, side by side."""
    with st.container(key="uar"):
        for column, record in zip(st.columns(len(records), border=True), records, strict=True):
            hint = Text.PROTOCOL_HINTS[record["protocol"]].format(folds=record["folds"])
            column.metric(name(record), f"{record['uar']:.1%}", help=hint)
            chance = 1 / len(record["f1_per_emotion"])
            basis = Text.BASIS.format(clips=record["clips"], chance=chance)
            column.caption(
                f"{interval(record)}  \n{Text.PROTOCOL_SHORT[record['protocol']]}  \n{basis}"
            )
        st.caption(Text.UAR)


def interval(record: Record) -> str:
    """Return the interval of a UAR in words."""
    if record["uar_interval"] is None:
        return Text.NO_INTERVAL
    low, high = record["uar_interval"]
    return Text.INTERVAL.format(low=low, high=high)


def show_emotions(records: list[Record]) -> None:
    """Show how well each emotion is told from the others."""
    st.subheader(Text.EMOTIONS, anchor=False)
    scores = records[0]["f1_per_emotion"]
    values = ", ".join(f"{emotion} {score:.0%}" for emotion, score in scores.items())
    other = records[1]["f1_per_emotion"] if len(records) > 1 else {}
    st.altair_chart(f1_chart(scores, other), alt=Text.F1_ALT.format(values=values))
    bars = Text.F1_BARS.format(*map(name, records[:2])) if other else ""
    st.caption(bars + Text.F1_HINT)


def show_confusion(records: list[Record]) -> None:
    """Show the confusion matrix under each protocol, side by side."""
    st.subheader(Text.CONFUSION, anchor=False)
    st.caption(Text.CONFUSION_HINT)
    with st.container(key="confusion"):
        for column, record in zip(st.columns(len(records)), records, strict=True):
            matrix, emotions = np.array(record["confusion_matrix"]), record["emotions"]
            values = ", ".join(
                f"{emotion} {row[number] / row.sum():.0%} right"
                for number, (emotion, row) in enumerate(zip(emotions, matrix, strict=True))
                if row.any()
            )
            column.markdown(f"**{name(record)}**")
            column.vega_lite_chart(
                charts.confusion_chart(matrix, emotions, truth=Text.TRUE, taken=Text.TAKEN),
                alt=Text.CONFUSION_ALT.format(protocol=name(record), values=values),
            )


def show_certainty(record: Record) -> None:
    """Show whether answers are right as often as they say."""
    st.subheader(Text.RELIABILITY, anchor=False)
    curve = record["reliability"]
    values = ", ".join(f"{bin_['confidence']:.0%}: {bin_['accuracy']:.0%}" for bin_ in curve)
    st.altair_chart(reliability_chart(curve), alt=Text.RELIABILITY_ALT.format(values=values))
    st.caption(
        Text.RELIABILITY_HINT.format(ece=record["ece"], protocol=name(record).lower())
        + " "
        + Text.SUREST.format(surest=record["accuracy_of_surest"], accuracy=record["accuracy"])
    )


def show_voices(record: Record) -> None:
    """Show how much hangs on whose voice it is."""
    shares = record["accuracy_per_speaker"]
    if len(shares) < 2:
        return
    st.subheader(Text.VOICES, anchor=False)
    extremes = {"best": max(shares.values()), "worst": min(shares.values())}
    alt_text = Text.VOICES_ALT.format(count=len(shares), **extremes)
    st.altair_chart(voices_chart(shares), alt=alt_text)
    hint = Text.VOICES_HINT.format(protocol=name(record).lower(), **extremes)
    if record["uar_by_sex"]:
        hint += " " + Text.BY_SEX.format(**record["uar_by_sex"])
    st.caption(hint)


def show_data(manifest: dict[str, Any]) -> None:
    """Show the recordings that the model learnt from, and their licences."""
    st.subheader(Text.DATA, anchor=False)
    lines = [
        Text.CORPUS.format(
            name=plain(corpus),
            clips=about["clips"],
            speakers=about["speakers"],
            channels=" and ".join(about["channels"]),
            licence=plain(about["licence"]),
        )
        for corpus, about in manifest["corpora"].items()
    ]
    st.markdown("\n".join(f"- {line}" for line in lines))
    st.caption(Text.LICENCES)


@st.fragment
def show_speed(model: classifier.EmotionClassifier) -> None:
    """Measure how long an answer takes, if the visitor wants to know."""
    st.subheader(Text.SPEED, anchor=False)
    st.caption(Text.SPEED_HINT.format(runs=SPEED_RUNS))
    if st.button(Text.MEASURE, icon=":material/timer:", key="measure"):
        with st.spinner(Text.MEASURING):
            seconds = measure(model)
        st.markdown(Text.MEASURED.format(milliseconds=1000 * seconds, runs=SPEED_RUNS))


def measure(model: classifier.EmotionClassifier) -> float:
    """Return the median time in seconds from a file of four seconds to its emotion."""
    content = examples.short(examples.LIVELY)
    model.classify(content)  # what is only made once is made here
    times = []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        model.classify(content)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def show_limits(model: classifier.EmotionClassifier) -> None:
    """Say what the model is not able to and not meant to do."""
    st.subheader(Text.LIMITS, anchor=False)
    limits = "\n".join(f"- {limit}" for limit in Text.LIMIT_LIST)
    st.markdown(
        limits.format(
            emotions=", ".join(model.labels),
            whole=classifier.MAX_WHOLE_SECONDS,
            window=windows.WINDOW_SECONDS,
            short=classifier.SHORT_SECONDS,
        )
    )


def show_facts(manifest: dict[str, Any]) -> None:
    """Show how the model was trained, and offer its manifest."""
    with st.expander(Text.EXPERT):
        training = manifest["training"]
        versions = ", ".join(" ".join(package) for package in manifest["versions"].items())
        st.markdown(
            plain(
                Text.FACTS.format(
                    kind=Text.KINDS[manifest["network"]],
                    parameters=manifest["parameters"],
                    epochs=training["epochs"],
                    seed=training["seed"],
                    temperature=training["temperature"],
                    versions=versions,
                )
            )
        )
        st.download_button(
            Text.MANIFEST,
            json.dumps(manifest, indent=1, ensure_ascii=False),
            file_name=MANIFEST,
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            key="manifest",
        )


def interval_chart(records: list[Record]) -> alt.LayerChart:
    """Return the UAR of each test with its interval."""
    table = pd.DataFrame(
        {
            "test": [record["test"] for record in records],
            "protocol": [name(record) for record in records],
            "uar": [record["uar"] for record in records],
            "low": [(record["uar_interval"] or [record["uar"]] * 2)[0] for record in records],
            "high": [(record["uar_interval"] or [record["uar"]] * 2)[1] for record in records],
        }
    )
    order = [name_ for name_ in Text.PROTOCOLS.values() if name_ in set(table.protocol)]
    base = alt.Chart(table).encode(
        y=alt.Y("test", sort=None, title=None, axis=alt.Axis(labelLimit=160)),
        yOffset=alt.YOffset("protocol", sort=order),
        tooltip=["test", "protocol", percent_tip("uar"), percent_tip("low"), percent_tip("high")],
    )
    lines = base.mark_rule(color=palette.WAVE_COLOR, strokeWidth=2).encode(
        x=alt.X("low", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"), title=None),
        x2="high",
    )
    points = base.mark_point(color=palette.WAVE_COLOR, filled=True, size=90, opacity=1).encode(
        x="uar",
        shape=alt.Shape(
            "protocol",
            scale=alt.Scale(domain=order, range=["circle", "diamond", "square"][: len(order)]),
            legend=alt.Legend(
                title=None, orient="top", direction="vertical", labelColor=palette.TEXT_COLOR
            ),
        ),
    )
    return (
        (lines + points).properties(height=80 + 30 * len(table)).configure_axis(**charts.AXIS_TEXT)
    )


def f1_chart(scores: dict[str, float], other: dict[str, float]) -> alt.LayerChart:
    """Return one bar per emotion, the best on top, and a line across it for other scores."""
    emotions = sorted(scores, key=scores.__getitem__, reverse=True)
    table = pd.DataFrame(
        {
            "emotion": emotions,
            "f1": [scores[emotion] for emotion in emotions],
            "other": [other.get(emotion) for emotion in emotions],
            "color": [palette.COLORS[emotion] for emotion in emotions],
        }
    )
    base = alt.Chart(table).encode(
        y=alt.Y("emotion", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False)),
        tooltip=["emotion", percent_tip("f1"), percent_tip("other")],
    )
    x = alt.X("f1", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(format="%"))
    bars = base.mark_bar(height=16, cornerRadiusEnd=3).encode(
        x=x, color=alt.Color("color", scale=None)
    )
    lines = base.mark_tick(color=palette.TEXT_COLOR, thickness=2, size=22).encode(x="other")
    return (bars + lines).properties(height=28 * len(table) + 30).configure_axis(**charts.AXIS_TEXT)


def reliability_chart(curve: list[dict[str, float]]) -> alt.LayerChart:
    """Return how often answers of each confidence were right."""
    axis = alt.Axis(format="%")
    scale = alt.Scale(domain=[0, 1])
    ideal = (
        alt.Chart(pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]}))
        .mark_line(color=palette.TEXT_COLOR, opacity=0.5, strokeDash=[5, 4])
        .encode(x="confidence", y="accuracy")
    )
    base = alt.Chart(pd.DataFrame(curve)).encode(
        x=alt.X("confidence", scale=scale, axis=axis, title=Text.SAYS),
        y=alt.Y("accuracy", scale=scale, axis=axis, title=Text.RIGHT),
    )
    line = base.mark_line(color=palette.WAVE_COLOR, opacity=0.4)
    points = base.mark_circle(color=palette.WAVE_COLOR, opacity=1).encode(
        size=alt.Size("clips", scale=alt.Scale(range=[15, 260]), legend=None),
        tooltip=["clips", percent_tip("confidence"), percent_tip("accuracy")],
    )
    return (ideal + line + points).properties(height=320).configure_axis(**charts.AXIS_TEXT)


def voices_chart(shares: dict[str, float]) -> alt.Chart:
    """Return one line per voice at the share of its recordings that was right."""
    table = pd.DataFrame({"voice": list(shares), "right": list(shares.values())})
    return (
        alt.Chart(table)
        .mark_tick(color=palette.WAVE_COLOR, thickness=2, size=40, opacity=0.7)
        .encode(
            x=alt.X("right", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(format="%")),
            tooltip=["voice", percent_tip("right")],
        )
        .properties(height=80)
        .configure_axis(**charts.AXIS_TEXT)
    )


def percent_tip(field: str) -> alt.Tooltip:
    """Return a tooltip line that shows a share in percent."""
    return alt.Tooltip(field, type="quantitative", format=".0%")
