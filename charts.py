"""What the page draws, as Altair charts and HTML: emotions in their colours, and the sound.

From plain values and waveforms; the words come from the caller.
"""

import base64
import html
import io
import math
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

import audio
import features

# One colour per emotion, wherever it appears. Chosen so that any two of them differ by at least
# 0.12 in OKLab for normal, protanopic, deuteranopic and tritanopic eyes (simulated after Machado,
# Oliveira and Fernandes, 2009), and all are visible on the light and the dark page.
COLORS = {
    "angry": "#9c332b",
    "calm": "#02d3f5",
    "disgust": "#698f02",
    "fearful": "#633ac3",
    "happy": "#e9bb29",
    "neutral": "#a7a49c",
    "sad": "#0894fe",
    "surprised": "#ae6597",
}

PICTURE_COLUMNS = 1200  # of the spectrogram at most; the screen has no more
ENVELOPE_COLUMNS = 1200
PICTURE_BLOCK = 60 * audio.SAMPLE_RATE  # samples whose features are in memory at a time
DYNAMIC_RANGE = 80  # dB from the brightest to the darkest colour
QUIET = -20.0  # dB, the loudest band of a barely audible voice: what is below stays dark
TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)  # seconds between ticks
FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)  # Hz, ticks
TEXT_COLOR = "currentColor"  # the page's own, light or dark
WAVE_COLOR = "#7b8bb5"  # readable on the light and the dark page
ICON_HEIGHTS = (4, 9, 14, 7, 12, 16, 10, 5)


def icon() -> str:
    """Return the picture in the browser's tab, as SVG: a sound wave in the emotions' colours."""
    bars = "".join(
        f'<rect x="{4 * number}" y="{16 - height}" width="3" height="{2 * height}" fill="{color}"/>'
        for number, (color, height) in enumerate(zip(COLORS.values(), ICON_HEIGHTS, strict=True))
    )
    return f'<svg viewBox="0 0 32 32">{bars}</svg>'


def dot(emotion: str) -> str:
    """Return a dot in the emotion's colour, as HTML."""
    color = COLORS[emotion]
    return (
        '<span style="display:inline-block;width:0.65em;height:0.65em;margin-right:0.4em;'
        f'border-radius:50%;background:{color}"></span>'
    )


def legend(emotions: Sequence[str]) -> str:
    """Return the emotions, each with its dot, as HTML."""
    names = "".join(
        f'<span style="white-space:nowrap">{dot(emotion)}{emotion}</span>' for emotion in emotions
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:0.4rem 1.4rem">{names}</div>'


def verdict(name: str, answer: str, details: str, emotion: str | None) -> str:
    """Return the name of a recording, the answer with the emotion's dot, and details, as HTML."""
    title = html.escape(answer) if emotion is None else dot(emotion) + html.escape(answer)
    return (
        f'<div style="opacity:0.7;overflow-wrap:anywhere">{html.escape(name)}</div>'
        f'<h2 style="margin:0;padding:0.25rem 0" data-testid="emotion">{title}</h2>'
        f'<div data-testid="confidence">{html.escape(details)}</div>'
    )


def probability_chart(probabilities: dict[str, float], texts: dict[str, str]) -> alt.LayerChart:
    """Return one bar per emotion, the most probable on top.

    Args:
        probabilities: of each emotion, from 0 to 1.
        texts: of each emotion, what is written at its bar.
    """
    emotions = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
    table = pd.DataFrame(
        {
            "emotion": emotions,
            "probability": [probabilities[emotion] for emotion in emotions],
            "value": [texts[emotion] for emotion in emotions],
            "color": [COLORS[emotion] for emotion in emotions],
        }
    )
    base = alt.Chart(table).encode(
        x=alt.X("probability", scale=alt.Scale(domain=[0, 1.12]), axis=None),
        y=alt.Y(
            "emotion",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelFontSize=13, labelColor=TEXT_COLOR),
        ),
        tooltip=["emotion", "value"],
    )
    bars = base.mark_bar(cornerRadiusEnd=3, height=16).encode(color=alt.Color("color", scale=None))
    values = base.mark_text(align="left", dx=6, fontSize=13, color=TEXT_COLOR).encode(text="value")
    return (bars + values).properties(height=26 * len(table))


def sound_chart(waveform: np.ndarray, *, amplitude: str, frequency: str) -> alt.VConcatChart:
    """Return a waveform over its mel spectrogram, on one time axis.

    Args:
        waveform: (samples,) float32, mono, at `audio.SAMPLE_RATE`.
        amplitude, frequency: titles of the vertical axes.
    """
    seconds = len(waveform) / audio.SAMPLE_RATE
    peak = float(np.abs(waveform).max()) or 1.0
    scale = alt.Scale(domain=[0, seconds], nice=False)
    step = next((step for step in TIME_STEPS if seconds <= 8 * step), TIME_STEPS[-1])
    ticks = [step * number for number in range(int(seconds / step) + 1)]
    minutes = "floor(datum.value / 60) + ':' + format(datum.value % 60, '02d')"
    labels = minutes if step >= 10 else "datum.label + ' s'"
    wave = (
        alt.Chart(envelope(waveform))
        .mark_area(color=WAVE_COLOR, stroke=WAVE_COLOR, strokeWidth=0.5)
        .encode(
            x=alt.X("time:Q", scale=scale, axis=alt.Axis(values=ticks, labels=False, title=None)),
            y=alt.Y("low:Q", scale=alt.Scale(domain=[-peak, peak]), title=amplitude),
            y2="high:Q",
        )
        .properties(height=110)
    )
    frequencies = mel_positions()
    hertz = " : ".join(f"datum.value == {height} ? '{hz}'" for hz, height in frequencies.items())
    mel = (
        alt.Chart(pd.DataFrame({"url": [spectrogram(waveform)]}))
        .mark_image(aspect=False)
        .encode(
            x=alt.XDatum(0, scale=scale, title=None, axis=alt.Axis(values=ticks, labelExpr=labels)),
            x2=alt.X2Datum(seconds),
            y=alt.YDatum(
                0,
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(
                    title=frequency,
                    values=list(frequencies.values()),
                    labelExpr=f"{hertz} : ''",
                    labelOverlap=False,
                    grid=False,
                ),
            ),
            y2=alt.Y2Datum(1),
            url="url:N",
        )
        .properties(height=190)
    )
    return alt.vconcat(wave, mel, spacing=6)


def envelope(waveform: np.ndarray) -> pd.DataFrame:
    """Return lowest and highest sample of each of at most `ENVELOPE_COLUMNS` stretches of time."""
    columns = min(ENVELOPE_COLUMNS, len(waveform))
    edges = np.linspace(0, len(waveform), columns, endpoint=False).astype(int)
    return pd.DataFrame(
        {
            "time": edges / audio.SAMPLE_RATE,
            "low": np.minimum.reduceat(waveform, edges),
            "high": np.maximum.reduceat(waveform, edges),
        }
    ).round(4)


def spectrogram(waveform: np.ndarray) -> str:
    """Return the mel power in decibel as a picture (data URL): time to the right, pitch upwards."""
    from matplotlib import colormaps
    from PIL import Image

    step = math.ceil(len(waveform) / features.HOP_LENGTH / PICTURE_COLUMNS)  # frames per column
    block = features.HOP_LENGTH * step * math.ceil(PICTURE_BLOCK / features.HOP_LENGTH / step)
    columns = []
    for start in range(0, len(waveform), block):
        piece = waveform[start : start + block]
        frames = max(1, len(piece) // features.HOP_LENGTH)
        padded = np.pad(piece, (0, max(0, features.MIN_SAMPLES - len(piece))))
        mel = features.extract_frames(padded)[:frames, features.MEL]
        columns.append(np.maximum.reduceat(mel, range(0, frames, step)))
    power = np.concatenate(columns).T[::-1]
    decibel = 10 * np.log10(np.maximum(power, 1e-10))
    brightness = 1 + (decibel - max(decibel.max(), QUIET)) / DYNAMIC_RANGE
    png = io.BytesIO()
    Image.fromarray(colormaps["magma"](brightness.clip(0, 1), bytes=True)).save(png, "PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def mel_positions() -> dict[int, float]:
    """Return the height, from 0 to 1, of each of `FREQUENCIES` on the mel axis."""
    bands = features.mel_frequencies()[1:-1]
    heights = (np.arange(features.N_MELS) + 0.5) / features.N_MELS
    return {hertz: round(float(np.interp(hertz, bands, heights)), 4) for hertz in FREQUENCIES}
