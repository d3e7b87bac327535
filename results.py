"""What the classifier said of many recordings: rows, a table, a line each, a report.

Rows are taken as they come, so that those of a million recordings are never held at once.
"""

import itertools
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import files
from audio import printable
from corpora import EMOTIONS
from inputs import Input

if TYPE_CHECKING:
    import pandas as pd

    from classifier import Prediction

TEXT_WIDTH = 88  # of paragraphs in the report
MAX_ERROR = 1_000  # characters

_TEXT = ("path", "emotion", "warning", "error", "label")
_PART_ROWS = 1_000  # of a table that is written in parts

Row = dict[str, Any]


def success(file: Input, prediction: "Prediction", **times: float) -> Row:
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
    error = printable(error)  # it may quote a name, and a name in an archive be very long
    error = error if len(error) <= MAX_ERROR else f"{error[:MAX_ERROR]}…"
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


def table(rows: Sequence[Row], emotions: Sequence[str]) -> "pd.DataFrame":
    """Gather rows in a table.

    Returns:
        Columns path, [start, end,] emotion, confidence, uncertain, one probability per emotion,
        warning, error[, label]: times where there are segments, labels where one is known. What
        an unclassified file lacks is NA.
    """
    times = any("start" in row for row in rows)
    labelled = any(row["label"] for row in rows)
    return next(tables(rows, emotions, times=times, labelled=labelled))


def tables(
    rows: Iterable[Row], emotions: Sequence[str], *, times: bool, labelled: bool
) -> Iterator["pd.DataFrame"]:
    """Yield rows as one table in parts, at least one: as `table`, with times and labels if said."""
    import pandas as pd

    head = ["path", *(["start", "end"] if times else []), "emotion", "confidence", "uncertain"]
    columns = [*head, *emotions, "warning", "error", *(["label"] if labelled else [])]
    kinds = {"uncertain": "boolean"} | dict.fromkeys(_TEXT, "string")
    types = {column: kinds.get(column, "float64") for column in columns}
    rows = iter(rows)
    part = list(itertools.islice(rows, _PART_ROWS))
    while True:
        yield pd.DataFrame(part, columns=columns).astype(types)
        part = list(itertools.islice(rows, _PART_ROWS))
        if not part:
            return


def csv(table: "pd.DataFrame", *, header: bool = True) -> str:
    """Return a table as CSV; text that a spreadsheet would run as a formula gets an apostrophe."""
    text = [column for column in table.columns if column in _TEXT]
    formula = r"^(?=[=+\-@\t\r\n])"
    escaped = {column: table[column].str.replace(formula, "'", regex=True) for column in text}
    return table.assign(**escaped).to_csv(index=False, float_format="%.6f", header=header)


def write_table(parts: Iterable["pd.DataFrame"], file: Path) -> None:
    """Write the parts of a table as CSV, JSON or Parquet, by the ending of the file, in one step.

    An interruption leaves the old file or the new one.
    """
    write = {".csv": _write_csv, ".json": _write_json, ".parquet": _write_parquet}
    files.sweep(file.parent, file.name)
    with files.whole(file) as unfinished:
        write[file.suffix.lower()](parts, unfinished)


def _write_csv(parts: Iterable["pd.DataFrame"], file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        for number, part in enumerate(parts):
            out.write(csv(part, header=number == 0))


def _write_json(parts: Iterable["pd.DataFrame"], file: Path) -> None:
    with file.open("w", encoding="utf-8") as out:
        before = "["
        for part in parts:
            for record in part.astype(object).where(part.notna(), None).to_dict("records"):
                text = json.dumps(record, indent=1, ensure_ascii=False)
                out.write(f"{before}\n{textwrap.indent(text, ' ')}")
                before = ","
        out.write("[]\n" if before == "[" else "\n]\n")


def _write_parquet(parts: Iterable["pd.DataFrame"], file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    for part in parts:
        table = pa.Table.from_pandas(part, preserve_index=False)
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


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


@dataclass
class Summary:
    """What the report tells of a run, counted as its rows go by.

    Attributes:
        files: that have rows.
        rows: more than files where there are segments.
        failed: rows with an error.
        unheard: rows without error and emotion: too short, silent, or without a voice.
        uncertain: rows with an emotion that is.
        labelled: files with a known emotion.
        corpora: of the files with both, a known emotion and an answer.
        said: rows with label and emotion, by these two.
    """

    files: int = 0
    rows: int = 0
    failed: int = 0
    unheard: int = 0
    uncertain: int = 0
    labelled: int = 0
    segments: bool = False
    corpora: Counter[str] = field(default_factory=Counter)
    said: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, file: Input, rows: Iterable[Row]) -> None:
        """Count a file and its rows."""
        self.files += 1
        self.labelled += bool(file.label)
        answers = 0
        for row in rows:
            self.segments |= "start" in row
            if row["error"]:
                self.failed += 1
            elif row["emotion"] is None:
                self.unheard += 1
            else:
                answers += 1
                self.uncertain += row["uncertain"]
                if file.label:
                    self.said[file.label, row["emotion"]] += 1
        if file.label and answers:
            self.corpora[file.corpus] += 1

    def evaluate(self) -> Evaluation | None:
        """Compare predictions with labels, or return None where there are no two to compare."""
        import evaluation

        if not self.said:
            return None
        truth, said = zip(*self.said.elements(), strict=True)
        emotions = [emotion for emotion in EMOTIONS if emotion in {*truth, *said}]
        return Evaluation(
            emotions,
            evaluation.confusion_matrix(truth, said, emotions),
            evaluation.accuracy(truth, said),
            evaluation.uar(truth, said),
            evaluation.f1_per_emotion(truth, said, emotions),
        )


def report(summary: Summary, manifest: Mapping[str, Any], *, left_out: int = 0) -> str:
    """Sum up in Markdown that also reads well on a terminal.

    Args:
        summary: of all files.
        manifest: of the model.
        left_out: number of files that were not reached.
    """
    unit = "segment" if summary.segments else "file"
    total = summary.files + left_out
    said = [f"{summary.files - summary.failed} of {_count(total, 'file')} classified."]
    if left_out:
        said.append(f"Interrupted: {_count(left_out, 'file')} left out.")
    if summary.failed:
        said.append(f"{_count(summary.failed, 'file')} with an error.")
    if summary.unheard:
        said.append(f"{_count(summary.unheard, unit)} without emotion: no voice, or too short.")
    said.append(f"{_count(summary.uncertain, 'answer')} uncertain.")
    said.append(f"{_count(summary.labelled, 'file')} with a known emotion.")
    found = summary.evaluate()
    paragraphs = [" ".join(said)]
    if found:
        paragraphs += caveats(summary, manifest)
        paragraphs.append(
            f"Accuracy {found.accuracy:.3f}, unweighted average recall (UAR) {found.uar:.3f} "
            f"over {_count(int(found.matrix.sum()), unit)}."
        )
    text = [textwrap.fill(paragraph, TEXT_WIDTH) for paragraph in paragraphs]
    return "\n\n".join([*text, _confusion_table(found)] if found else text)


def write_report(
    parts: Iterable["pd.DataFrame"], text: str, found: Evaluation | None, folder: Path
) -> None:
    """Write report.md, results.csv and, where emotions are known, confusion.png."""
    write_table(parts, folder / "results.csv")
    figure = folder / "confusion.png"
    figure.unlink(missing_ok=True)
    if found:
        import evaluation

        with files.named(figure):
            evaluation.plot_confusion(found.matrix, found.emotions, figure)
        text += "\n\n![Confusion matrix](confusion.png)"
    with files.whole(folder / "report.md") as part:
        part.write_text(f"# Classified recordings\n\n{text}\n", "utf-8")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def caveats(summary: Summary, manifest: Mapping[str, Any]) -> list[str]:
    """Say what the figures do not: how the model does on voices that it was not trained on."""
    known = sorted(set(summary.corpora) & set(manifest["corpora"]))
    if not known:
        return []
    clips = sum(summary.corpora[corpus] for corpus in known)
    if clips == summary.corpora.total():
        which = "This clip is" if clips == 1 else "These clips are"
    else:
        which = f"{clips} of these clips {'is' if clips == 1 else 'are'}"
    said = [
        f"{which} from {' and '.join(known)}, on which this model was trained: "
        "the figures say nothing about new voices."
    ]
    import evaluation

    for corpus in known:
        channels = manifest["corpora"][corpus]["channels"]
        tests = {f"{corpus} {' and '.join(part)}" for part in (channels, channels[:1])}
        records = [
            record
            for record in manifest["metrics"]
            if record["protocol"] == "speaker" and record["test"] in tests
        ]
        for record in sorted(records, key=evaluation.likeness)[:1]:
            interval = ""
            if record["uar_interval"]:  # null where there was only one speaker
                low, high = record["uar_interval"]
                interval = f" (95 % interval {low:.3f} to {high:.3f})"
            said.append(
                f"Its UAR on voices that it was not trained on ({record['test']}): "
                f"{record['uar']:.3f}{interval}."
            )
    return said


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
