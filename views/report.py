"""The report to download: one HTML file about one recording or many, with all its pictures inside.

It opens from disk and prints. It holds no script and asks nobody for anything, and its policy
forbids the browser to. Jinja escapes whatever stands in it.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import charts
import palette
import results
from classifier import Prediction
from corpora import EMOTIONS
from inputs import Input
from sketch import Sketch
from views.course import Stretch, is_mixed, words
from views.hearing import Answer
from views.text import Page, clock, details, headline, percent, sentence
from views.text import Report as Text

Judged = tuple[Input, Answer]
Part = dict[str, Any]  # of the report, as its template expects it

TEMPLATE = "report.html"
UNSURE_OPACITY = 0.45
DARKEST = 0.6  # opacity of a cell with everything in it: its number can be read

# The picture of a sound, in units of its own: it is drawn as wide as the page is.
WIDTH, WAVE_HEIGHT, COURSE_HEIGHT, MEL_HEIGHT, AXIS_HEIGHT, GAP = 720, 90, 12, 150, 24, 8


def of_one(
    name: str,
    prediction: Prediction,
    sound: Sketch,
    stretches: Sequence[Stretch],
    manifest: Mapping[str, Any],
) -> str:
    """Return the report on one recording.

    Args:
        name: of the recording.
        prediction: what the model says of the whole.
        sound: what is drawn of it.
        stretches: what the model says of its parts; none where it was judged in one piece.
        manifest: of the model.
    """
    shares = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return _render(
        name,
        manifest,
        answer=_line(prediction, mixed=is_mixed(prediction, stretches))
        | {"details": details(prediction, average=bool(stretches))},
        probabilities=[_bar(emotion, percent(share), share) for emotion, share in shares],
        sound=_picture(sound, stretches),
        rows_title=Text.COURSE,
        rows_name=Text.TIME,
        rows=[
            {
                **(_line(stretch.prediction) if stretch.prediction.emotion else {}),
                "name": f"{clock(stretch.start)} – {clock(stretch.end)}",
                "headline": words(stretch.prediction),
            }
            for stretch in stretches
        ],
    )


def of_many(judged: Sequence[Judged], manifest: Mapping[str, Any], *, left_out: int = 0) -> str:
    """Return the report on many recordings.

    Args:
        judged: the recordings that have an answer.
        manifest: of the model.
        left_out: number of recordings that were not reached.
    """
    counts = distribution(judged)
    most = max(map(sum, counts.values()), default=0)
    return _render(
        Text.MANY.format(count=len(judged)),
        manifest,
        left_out=Text.LEFT_OUT.format(count=left_out) if left_out else "",
        counts=[
            _bar(emotion, str(sure + unsure), sure / most, unsure / most)
            for emotion, (sure, unsure) in counts.items()
        ],
        **_evaluation(judged, manifest),
        rows_title=Text.RECORDINGS,
        rows_name=Text.FILE,
        rows=[{"name": file.path, "label": file.label, **_line(said)} for file, said in judged],
        labelled=any(file.label for file, _ in judged),
    )


def row(file: Input, answer: Answer) -> results.Row:
    """Return the row of the table that `test_model.py --output` writes."""
    if isinstance(answer, str):
        return results.failure(file, answer)
    return results.success(file, answer)


def summary(judged: Iterable[Judged]) -> results.Summary:
    """Return what the answers come to, beside the labels."""
    counted = results.Summary()
    for file, answer in judged:
        counted.add(file, [row(file, answer)])
    return counted


def distribution(judged: Iterable[Judged]) -> dict[str, tuple[int, int]]:
    """Return how many sure and how many unsure answers name each emotion that is named at all."""
    answers = [answer for _, answer in judged if isinstance(answer, Prediction)]
    said = Counter((answer.emotion, answer.uncertain) for answer in answers)
    counts = {emotion: (said[emotion, False], said[emotion, True]) for emotion in EMOTIONS}
    return {emotion: count for emotion, count in counts.items() if any(count)}


def _render(title: str, manifest: Mapping[str, Any], **parts: Any) -> str:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    about = Text.ABOUT.format(
        day=datetime.date.today(),
        network=manifest["network"],
        corpora=" and ".join(manifest["corpora"]),
    )
    return environment.get_template(TEMPLATE).render(
        title=title,
        about=about,
        ethics=Page.ETHICS,
        text=Text,
        colors=palette.COLORS,
        wave_color=palette.WAVE_COLOR,
        emotions=manifest["labels"],
        **parts,
    )


def _line(answer: Answer, *, mixed: bool = False) -> Part:
    """Return an answer as a line of a list; `mixed` as in `headline`."""
    if isinstance(answer, str):
        return {"headline": Page.UNREADABLE, "note": sentence(answer)}
    line = {"headline": headline(answer, mixed=mixed), "note": sentence(answer.warning)}
    if answer.emotion is None:
        return line
    shares = answer.probabilities.items()
    return line | {
        "emotion": answer.emotion,
        "confidence": percent(answer.confidence),
        "parts": _in_a_row((emotion, share, 1) for emotion, share in shares),
        "words": ", ".join(f"{emotion} {percent(share)}" for emotion, share in shares),
    }


def _bar(emotion: str, value: str, share: float, unsure: float = 0.0) -> Part:
    """Return a bar in an emotion's colour: of its length (up to 1), a second part is paler."""
    parts = _in_a_row([(emotion, share, 1), (emotion, unsure, UNSURE_OPACITY)])
    return {"emotion": emotion, "value": value, "parts": parts}


def _in_a_row(parts: Iterable[tuple[str, float, float]]) -> list[Part]:
    """Place the parts of a bar, given as emotion, share and opacity, one after the other."""
    placed, start = [], 0.0
    for emotion, share, opacity in parts:
        placed.append({"emotion": emotion, "start": start, "share": share, "opacity": opacity})
        start += share
    return placed


def _evaluation(judged: Sequence[Judged], manifest: Mapping[str, Any]) -> Part:
    """Return how the answers compare with the labels; nothing where no two can be compared."""
    counted = summary(judged)
    found = counted.evaluate()
    if not found:
        return {}
    clips = found.matrix.sum(axis=1, keepdims=True)
    return {
        "found": found,
        "caveats": results.caveats(counted, manifest),
        "f1": [_bar(emotion, f"{score:.0%}", score) for emotion, score in found.f1.items()],
        "opacities": (DARKEST * found.matrix / np.maximum(clips, 1)).round(3).tolist(),
    }


def _picture(sound: Sketch, stretches: Sequence[Stretch]) -> Part:
    """Return the picture of a sound: waveform, course of emotion, spectrogram, one time axis."""
    scale = WIDTH / sound.seconds
    wave = sound.wave
    peak = max(wave.high.max(), -wave.low.min()) or 1.0
    heights = ((1 - wave[edge] / peak) * WAVE_HEIGHT / 2 for edge in ("high", "low"))
    above, below = (list(zip(wave.time * scale, y, strict=True)) for y in heights)
    course_top = WAVE_HEIGHT + GAP
    mel_top = course_top + (COURSE_HEIGHT + GAP if stretches else 0)
    bottom = mel_top + MEL_HEIGHT
    ticks = charts.time_ticks(sound.seconds)
    in_seconds = all(time == int(time) for time in ticks)
    words = Text.COURSE_ALT if stretches else Text.SOUND_ALT
    return {
        "words": words.format(seconds=sound.seconds),
        "width": WIDTH,
        "height": bottom + AXIS_HEIGHT,
        "wave": " ".join(f"{x:.1f},{y:.1f}" for x, y in above + below[::-1]),
        "course": [
            {
                "emotion": stretch.prediction.emotion,
                "x": stretch.start * scale,
                "width": (stretch.end - stretch.start) * scale,
            }
            for stretch in stretches
            if stretch.prediction.emotion
        ],
        "course_top": course_top,
        "course_height": COURSE_HEIGHT,
        "mel": sound.mel,
        "mel_top": mel_top,
        "mel_height": MEL_HEIGHT,
        "frequencies": [
            {"y": mel_top + (1 - height) * MEL_HEIGHT, "text": f"{hertz} Hz"}
            for hertz, height in charts.mel_positions().items()
        ],
        "bottom": bottom,
        "times": [
            {"x": time * scale, "text": clock(time) if in_seconds else f"{time:.1f} s"}
            for time in ticks
        ],
    }
