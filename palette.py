"""The emotions' colours, and pieces of HTML in them."""

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType

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

WAVE_COLOR = "#7b8bb5"  # readable on the light and the dark page
TEXT_COLOR = "currentColor"  # the page's own, light or dark
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


def dot_url(emotion: str) -> str:
    """Return such a dot as a picture for a table."""
    color = COLORS[emotion].replace("#", "%23")
    return (
        "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' width='24' height='24'>"
        f"<circle cx='12' cy='12' r='6' fill='{color}'/></svg>"
    )


def legend(emotions: Sequence[str], notes: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the emotions, each with its dot and what is noted about it, as HTML."""
    names = "".join(
        f'<span style="white-space:nowrap">{dot(emotion)}{emotion} '
        f'<span style="opacity:0.7">{html.escape(notes.get(emotion, ""))}</span></span>'
        for emotion in emotions
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


def aside(title: str, answer: str, details: str, emotion: str | None) -> str:
    """Return an answer that stands beside that of `verdict`, smaller, as HTML."""
    mark = dot(emotion) if emotion else ""
    words = f"{mark}<b>{html.escape(answer)}</b>"
    if details:
        words = f"{words} · {html.escape(details)}"
    return f'<div data-testid="aside">{html.escape(title)}<br>{words}</div>'
