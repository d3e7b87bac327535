"""What the page draws in Vega-Lite: how probable emotions are, how they change, and the sound.

From plain values and waveforms; the words come from the caller. Charts are written in Vega-Lite's
own language (vega.github.io/vega-lite/docs): Altair takes longer to check them than the network
takes to answer.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

import features
import palette
from sketch import Sketch

Chart = dict[str, Any]  # in Vega-Lite, with tables among its datasets

MAX_WINDOWS = 400  # of a course of emotion
TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)  # seconds between ticks
FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)  # Hz, ticks
AXIS_TEXT: Chart = {  # Streamlit's is too pale on the light page
    "labelColor": palette.TEXT_COLOR,
    "labelOpacity": 0.75,
    "titleColor": palette.TEXT_COLOR,
    "titleOpacity": 0.75,
}
# Flush, the first name would slip towards the second, and hide it where there is little room.
NAMES: Chart = {"ticks": False, "domain": False, "labelFlush": False}
EMOTION_ROW: Chart = {  # one bar per emotion, in the order of the data
    "field": "emotion",
    "type": "nominal",
    "sort": None,
    "title": None,
    "axis": NAMES | {"labelFontSize": 13, "labelColor": palette.TEXT_COLOR},
}
EMOTION_COLOR: Chart = {"field": "color", "type": "nominal", "scale": None}
BAR_TEXT: Chart = {
    "type": "text",
    "align": "left",
    "dx": 6,
    "fontSize": 13,
    "color": palette.TEXT_COLOR,
}


def probability_chart(
    probabilities: dict[str, float],
    texts: dict[str, str],
    others: Mapping[str, float] = MappingProxyType({}),
) -> Chart:
    """Return one bar per emotion, the most probable on top.

    Args:
        probabilities: of each emotion, from 0 to 1.
        texts: of each emotion, what is written at its bar.
        others: probabilities to compare with, as lines across the bars.
    """
    emotions = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
    rows = [
        {
            "emotion": emotion,
            "probability": probabilities[emotion],
            "other": others.get(emotion),
            "end": max(probabilities[emotion], others.get(emotion, 0.0)),
            "value": texts[emotion],
            "color": palette.COLORS[emotion],
        }
        for emotion in emotions
    ]
    share = {"type": "quantitative", "axis": None, "scale": {"domain": [0, 1.12]}}
    return {
        "datasets": {"bars": pd.DataFrame(rows)},
        "data": {"name": "bars"},
        "height": 26 * len(rows),
        "encoding": {
            "x": share | {"field": "probability"},
            "y": EMOTION_ROW,
            "tooltip": [{"field": "emotion"}, {"field": "value"}],
        },
        "layer": [
            {
                "mark": {"type": "bar", "cornerRadiusEnd": 3, "height": 16},
                "encoding": {"color": EMOTION_COLOR},
            },
            {
                "mark": BAR_TEXT,
                "encoding": {"x": share | {"field": "end"}, "text": {"field": "value"}},
            },
            {
                "mark": {"type": "tick", "thickness": 2, "size": 22, "color": palette.TEXT_COLOR},
                "encoding": {"x": share | {"field": "other"}},
            },
        ],
    }


def confusion_chart(
    matrix: np.ndarray, emotions: Sequence[str], *, truth: str, taken: str
) -> Chart:
    """Return a confusion matrix in hundredths of each row; emotions without a clip have no row.

    Args:
        matrix: (emotions, emotions) counts, rows truth.
        emotions: of rows and columns.
        truth, taken: titles of rows and columns.
    """
    there = [number for number, row in enumerate(matrix) if row.any()]
    shares = (matrix[there] / matrix[there].sum(axis=1, keepdims=True)).ravel()
    cells = pd.DataFrame(
        {
            "truth": np.repeat(np.array(emotions)[there], len(emotions)),
            "taken": np.tile(emotions, len(there)),
            "share": shares,
            "text": [f"{100 * share:.0f}" if share >= 0.005 else "" for share in shares],
        }
    )
    axis = NAMES | {"labelOverlap": False}
    top = axis | {"orient": "top", "labelAngle": -90}
    names = {"type": "nominal", "sort": list(emotions)}
    opacity = {"domain": [0, 1], "range": [0, 0.75]}  # of the darkest cell, too, the text is read
    return {
        "config": {"axis": AXIS_TEXT},
        "datasets": {"cells": cells},
        "data": {"name": "cells"},
        "height": 70 + 30 * len(there),
        "encoding": {
            "x": names | {"field": "taken", "title": taken, "axis": top},
            "y": names | {"field": "truth", "title": truth, "axis": axis},
            "tooltip": [
                {"field": "truth", "title": truth},
                {"field": "taken", "title": taken},
                {"field": "share", "type": "quantitative", "format": ".0%"},
            ],
        },
        "layer": [
            {
                "mark": {"type": "rect", "color": palette.WAVE_COLOR},
                "encoding": {
                    "opacity": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": opacity,
                        "legend": None,
                    }
                },
            },
            {
                "mark": {"type": "text", "color": palette.TEXT_COLOR, "fontSize": 12},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }


def sound_chart(
    sound: Sketch, *, amplitude: str, frequency: str, course: Chart | None = None
) -> Chart:
    """Return a waveform over its mel spectrogram, on one time axis.

    Args:
        sound: what is drawn.
        amplitude, frequency: titles of the vertical axes.
        course: what is put in between (`course_chart`).
    """
    ticks = time_ticks(sound.seconds)
    scale = time_scale(sound.seconds)
    peak = float(max(sound.wave.high.max(), -sound.wave.low.min())) or 1.0
    wave = {
        "data": {"name": "wave"},
        "height": 110,
        "mark": {
            "type": "area",
            "color": palette.WAVE_COLOR,
            "stroke": palette.WAVE_COLOR,
            "strokeWidth": 0.5,
        },
        "encoding": {
            "x": _time("time", sound.seconds),
            "y": {
                "field": "low",
                "type": "quantitative",
                "scale": {"domain": [-peak, peak]},
                "title": amplitude,
            },
            "y2": {"field": "high"},
        },
    }
    heights = mel_positions()
    hertz = " : ".join(f"datum.value == {height} ? '{hz}'" for hz, height in heights.items())
    mel = {
        "data": {"values": [{"url": sound.mel}]},
        "height": 190,
        "mark": {"type": "image", "aspect": False},
        "encoding": {
            "x": {
                "datum": 0,
                "type": "quantitative",
                "scale": scale,
                "axis": {
                    "title": None,
                    "values": ticks,
                    "labelExpr": _clock(ticks),
                    "labelFlush": True,
                },
            },
            "x2": {"datum": sound.seconds},
            "y": {
                "datum": 0,
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "axis": {
                    "title": frequency,
                    "values": list(heights.values()),
                    "labelExpr": f"{hertz} : ''",
                    "labelOverlap": False,
                    "grid": False,
                },
            },
            "y2": {"datum": 1},
            "url": {"field": "url", "type": "nominal"},
        },
    }
    datasets = {"wave": sound.wave}
    if course is not None:
        datasets |= course["datasets"]
        course = {key: value for key, value in course.items() if key != "datasets"}
    return {
        "config": {"axis": AXIS_TEXT},
        "datasets": datasets,
        "spacing": 6,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "vconcat": [row for row in (wave, course, mel) if row is not None],
    }


def course_chart(
    times: np.ndarray,
    probabilities: np.ndarray,
    emotions: Sequence[str],
    *,
    seconds: float,
    title: str,
) -> Chart:
    """Return how the emotions share the probability over time, as a stack of areas.

    Args:
        times: (windows + 1,) seconds at which each window gives way to the next one.
        probabilities: (windows, emotions); a row of zeros is a pause, and stays empty.
        emotions: of the columns.
        seconds: length of the time axis.
        title: of the vertical axis.
    """
    times, probabilities = _thinned(times, probabilities)
    voiced = np.asarray(probabilities.any(axis=1))
    hints = pd.DataFrame(
        {
            "from": times[:-1][voiced],
            "to": times[1:][voiced],
            "emotion": [emotions[i] for i in probabilities.argmax(axis=1)[voiced]],
            "probability": probabilities.max(axis=1)[voiced],
        }
    )
    return {
        "datasets": {"areas": _areas(times, probabilities, emotions), "hints": hints.round(3)},
        "height": 110,
        "encoding": {"x": _time("time", seconds)},
        "layer": [
            {
                "data": {"name": "areas"},
                "mark": {"type": "area"},
                "encoding": {
                    "y": {
                        "field": "low",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1]},
                        "title": title,
                        "axis": {"format": "%", "values": [0, 0.5, 1], "grid": False},
                    },
                    "y2": {"field": "high"},
                    "detail": {"field": "part", "type": "nominal"},
                    "color": {
                        "field": "emotion",
                        "type": "nominal",
                        "scale": {
                            "domain": list(emotions),
                            "range": [palette.COLORS[emotion] for emotion in emotions],
                        },
                        "legend": None,
                    },
                },
            },
            {
                "data": {"name": "hints"},
                "mark": {"type": "rect", "opacity": 0},
                "encoding": {
                    "x": _time("from", seconds),
                    "x2": {"field": "to"},
                    "tooltip": [
                        {"field": "from", "type": "quantitative", "format": ".1f"},
                        {"field": "to", "type": "quantitative", "format": ".1f"},
                        {"field": "emotion"},
                        {"field": "probability", "type": "quantitative", "format": ".0%"},
                    ],
                },
            },
        ],
    }


def _areas(times: np.ndarray, probabilities: np.ndarray, emotions: Sequence[str]) -> pd.DataFrame:
    """Return the outlines of the areas, one part per emotion and stretch without a pause."""
    tops = np.cumsum(probabilities, axis=1)
    middles = (times[:-1] + times[1:]) / 2
    voiced = np.flatnonzero(probabilities.any(axis=1))
    tables = [pd.DataFrame(columns=["time", "low", "high", "emotion", "part"])]
    for number, run in enumerate(np.split(voiced, np.flatnonzero(np.diff(voiced) > 1) + 1)):
        if not len(run):
            continue
        corners = [run[0], *run, run[-1]]  # an area begins and ends with its outer windows
        at = [times[run[0]], *middles[run], times[run[-1] + 1]]
        for i, emotion in enumerate(emotions):
            low, high = (tops[corners, i] - probabilities[corners, i], tops[corners, i])
            part = f"{number} {emotion}"
            columns = {"time": at, "low": low, "high": high, "emotion": emotion, "part": part}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables[1:] or tables).round(4)


def _thinned(times: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `MAX_WINDOWS`: neighbours are averaged; a pause only where all are pauses."""
    share = -(-len(probabilities) // MAX_WINDOWS)
    if share <= 1:
        return times, probabilities
    starts = np.arange(0, len(probabilities), share)
    sums = np.add.reduceat(probabilities, starts)
    total = sums.sum(axis=1, keepdims=True)
    return np.append(times[starts], times[-1]), sums / np.where(total > 0, total, 1)


def time_scale(seconds: float) -> Chart:
    """Return the scale of a time axis from 0 on."""
    return {"domain": [0, seconds], "nice": False}


def time_ticks(seconds: float) -> list[float]:
    """Return at what times an axis has ticks: about eight."""
    step = next((step for step in TIME_STEPS if seconds <= 8 * step), TIME_STEPS[-1])
    return [step * number for number in range(int(seconds / step) + 1)]


def _time(field: str, seconds: float) -> Chart:
    """Return the encoding of a time axis whose labels stand below another chart."""
    axis = {"values": time_ticks(seconds), "labels": False}
    return {
        "field": field,
        "type": "quantitative",
        "scale": time_scale(seconds),
        "title": None,
        "axis": axis,
    }


def _clock(ticks: list[float]) -> str:
    """Return the Vega expression of a tick's label."""
    if ticks[-1] >= 3600:
        hour = "floor(datum.value / 3600) + ':' + format(floor(datum.value / 60) % 60, '02d')"
        return f"{hour} + ':' + format(datum.value % 60, '02d')"
    if len(ticks) > 1 and ticks[1] >= 10:
        return "floor(datum.value / 60) + ':' + format(datum.value % 60, '02d')"
    return "datum.label + ' s'"


def mel_positions() -> dict[int, float]:
    """Return the height, from 0 to 1, of each of `FREQUENCIES` on the mel axis."""
    bands = features.mel_frequencies()[1:-1]
    heights = (np.arange(features.N_MELS) + 0.5) / features.N_MELS
    return {hertz: round(float(np.interp(hertz, bands, heights)), 4) for hertz in FREQUENCIES}
