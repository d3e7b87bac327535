"""What the classifier said of many recordings: rows, a table, a line each, a report."""

import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import evaluation
from classifier import Prediction
from corpora import EMOTIONS
from inputs import Input, printable

TEXT_WIDTH = 88  # of paragraphs in the report

_TEXT = ("path", "emotion", "warning", "error", "label")

Row = dict[str, Any]


def success(file: Input, prediction: Prediction, **times: float) -> Row:
    """The row of a file, or of the segment of it between the `times` start and end (seconds)."""
    return {
        "path": file.path,
        **times,
        "emotion": prediction.emotion,
        "confidence": prediction.confidence,
        "uncertain": prediction.uncertain,
        **prediction.probabilities,
        "warning": prediction.warning,
        "error": "",
        "label": file.label or None,
    }


def failure(file: Input, error: str) -> Row:
    """The row of a file that could not be classified."""
    error = printable(error)  # it may quote a name
    return {"path": file.path, "warning": "", "error": error, "label": file.label or None}


def line(row: Row, width: int) -> str:
    """One row for the terminal, its path cut to `width` characters at the front."""
    path = row["path"] if len(row["path"]) <= width else f"…{row['path'][1 - width :]}"
    if "start" in row:
        path = f"{path:<{width}}  {row['start']:6.1f} to {row['end']:6.1f} s"
    if row["error"]:
        said = f"ERROR      {row['error']}"
    elif row["emotion"] is None:
        said = f"-          {row['warning']}"
    else:
        doubt = "uncertain" if row["uncertain"] else ""
        truth = f"labelled {row['label']}" if row["label"] not in (None, row["emotion"]) else ""
        remarks = "; ".join(filter(None, (doubt, truth, row["warning"])))
        said = f"{row['emotion']:<9}  {row['confidence']:4.0%}  {remarks}".rstrip()
    return printable(f"{path:<{width}}  {said}")


def table(rows: Sequence[Row], emotions: Sequence[str]) -> pd.DataFrame:
    """Gather rows in a table.

    Returns:
        Columns path, [start, end,] emotion, confidence, uncertain, one probability per emotion,
        warning, error[, label]: times where there are segments, labels where one is known. What
        an unclassified file lacks is NA.
    """
    times = ["start", "end"] if any("start" in row for row in rows) else []
    label = ["label"] if any(row["label"] for row in rows) else []
    head = ["path", *times, "emotion", "confidence", "uncertain"]
    columns = [*head, *emotions, "warning", "error", *label]
    kinds = {"uncertain": "boolean"} | dict.fromkeys(_TEXT, "string")
    types = {column: kinds.get(column, "float64") for column in columns}
    return pd.DataFrame(rows, columns=columns).astype(types)


def csv(table: pd.DataFrame) -> str:
    """Return a table as CSV; text that a spreadsheet would run as a formula gets an apostrophe."""
    text = [column for column in table.columns if column in _TEXT]
    formula = r"^(?=[=+\-@\t\r\n])"
    escaped = {column: table[column].str.replace(formula, "'", regex=True) for column in text}
    return table.assign(**escaped).to_csv(index=False, float_format="%.6f")


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV, JSON or Parquet, by the ending of the file, in one step.

    An interruption leaves the old file or the new one.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        if file.suffix.lower() == ".csv":
            partial.write_text(csv(table), "utf-8", newline="")
        elif file.suffix.lower() == ".json":
            records = table.astype(object).where(table.notna(), None).to_dict("records")
            partial.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", "utf-8")
        else:
            table.to_parquet(partial, index=False)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Evaluation:
    """How predictions compare with labels.

    Attributes:
        emotions: those that were labelled or predicted, in label order.
        matrix: (emotions, emotions) counts, rows truth.
        accuracy, uar: of all clips (or segments) that have a label and a prediction.
        f1: per emotion.
    """

    emotions: list[str]
    matrix: np.ndarray
    accuracy: float
    uar: float
    f1: dict[str, float]


def evaluate(table: pd.DataFrame) -> Evaluation | None:
    """Compare predictions with labels, or return None where there are no two to compare."""
    if "label" not in table:
        return None
    both = table.dropna(subset=["label", "emotion"])
    if both.empty:
        return None
    truth, said = list(both.label), list(both.emotion)
    emotions = [emotion for emotion in EMOTIONS if emotion in {*truth, *said}]
    return Evaluation(
        emotions,
        evaluation.confusion_matrix(truth, said, emotions),
        evaluation.accuracy(truth, said),
        evaluation.uar(truth, said),
        evaluation.f1_per_emotion(truth, said, emotions),
    )


def report(
    table: pd.DataFrame, files: Sequence[Input], manifest: Mapping[str, Any], *, left_out: int = 0
) -> str:
    """Sum up in Markdown that also reads well on a terminal.

    Args:
        table: of `table`.
        files: what the table is about.
        manifest: of the model.
        left_out: number of files that were not reached.
    """
    unit = "segment" if "start" in table else "file"
    failed = int((table.error != "").sum())
    unheard = int((table.emotion.isna() & (table.error == "")).sum())
    total = len(files) + left_out
    said = [f"{len(files) - failed} of {_count(total, 'file')} classified."]
    if left_out:
        said.append(f"Interrupted: {_count(left_out, 'file')} left out.")
    if failed:
        said.append(f"{_count(failed, 'file')} with an error.")
    if unheard:
        said.append(f"{_count(unheard, unit)} too short or silent to judge.")
    said.append(f"{_count(int(table.uncertain.sum()) - unheard, unit)} uncertain.")
    labelled = [file for file in files if file.label]
    said.append(f"{_count(len(labelled), 'file')} with a known emotion.")
    found = evaluate(table)
    paragraphs = [" ".join(said)]
    if found:
        paragraphs += _caveats(labelled, manifest)
        paragraphs.append(
            f"Accuracy {found.accuracy:.3f}, unweighted average recall (UAR) {found.uar:.3f} "
            f"over {_count(int(found.matrix.sum()), unit)}."
        )
    text = [textwrap.fill(paragraph, TEXT_WIDTH) for paragraph in paragraphs]
    return "\n\n".join([*text, _confusion_table(found)] if found else text)


def write_report(table: pd.DataFrame, text: str, folder: Path) -> None:
    """Write report.md, results.csv and, where emotions are known, confusion.png."""
    write_table(table, folder / "results.csv")
    found = evaluate(table)
    if found:
        evaluation.plot_confusion(found.matrix, found.emotions, folder / "confusion.png")
        text += "\n\n![Confusion matrix](confusion.png)"
    (folder / "report.md").write_text(f"# Classified recordings\n\n{text}\n", "utf-8")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _caveats(labelled: Sequence[Input], manifest: Mapping[str, Any]) -> list[str]:
    """Say what the figures do not: how the model does on voices that it was not trained on."""
    trained = set(manifest["corpora"])
    known = [file.corpus for file in labelled if file.corpus in trained]
    if not known:
        return []
    which = "These clips" if len(known) == len(labelled) else f"{len(known)} of these clips"
    caveats = [
        f"{which} are {' and '.join(sorted(set(known)))}, on which this model was trained: "
        "the figures say nothing about new voices."
    ]
    for record in manifest["metrics"]:
        if record["protocol"] == "speaker":
            interval = ""
            if record["uar_interval"]:  # null where there was only one speaker
                low, high = record["uar_interval"]
                interval = f" (95 % interval {low:.3f} to {high:.3f})"
            caveats.append(
                f"Its UAR on voices that it was not trained on ({record['test']}): "
                f"{record['uar']:.3f}{interval}."
            )
    return caveats


def _confusion_table(found: Evaluation) -> str:
    heads = " | ".join(emotion[:4] for emotion in found.emotions)
    lines = [
        f"| is / heard as | {heads} |   F1 |",
        "| ------------- |" + " ---: |" * (len(found.emotions) + 1),
    ]
    for emotion, counts in zip(found.emotions, found.matrix, strict=True):
        cells = " | ".join(f"{count:4}" for count in counts)
        lines.append(f"| {emotion:<13} | {cells} | {found.f1[emotion]:4.2f} |")
    return "\n".join(lines)
