"""The tables and figures of a model, written from its manifest: no number is typed by hand.

`python model_card.py` writes the card of every shipped model anew, and the tables between the
markers of README.md from the manifests and the benchmarks' results files.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import evaluation
from model_folder import MANIFEST

ROOT = Path(__file__).parent
SHIPPED = ("frames", "vector")

_PROTOCOL_WORDS = {
    "random": "known voices (random 80/20)",
    "speaker": "unheard voices (speaker folds)",
    "cross-corpus": "unheard corpus",
}

_CARD = """---
license: {licence_id}
library_name: keras
pipeline_tag: audio-classification
tags: [speech-emotion-recognition]
{index}---

# {name}

{what}

Written by `model_card.py` from `manifest.json`; every figure below comes from there.

## Results

{table}

UAR is the unweighted average recall: guessing scores {chance:.1%}. Every clip is tested once per
seed; ± is the standard deviation over folds and seeds, the interval the 95 % bootstrap over
speakers, ECE the expected calibration error.
{figures}{reports}
## Trained on

{data}

Training: {training}. Versions: {versions}.

## Use

    from classifier import EmotionClassifier
    EmotionClassifier.load("model/{name}").classify("clip.wav")

For research, teaching and play with consenting people. In the published corpora actors portray the
emotions; what a person feels is another matter, and everyday speech is less clear. Languages, ages,
rooms and microphones that the training lacks will lower the figures above.

Not for decisions about people. In the European Union, inferring emotions at work and in education
is forbidden, other uses are regulated (Regulation (EU) 2024/1689, articles 5 and 50, annex III).

## Licence

The weights were learned from the corpora above, and what those allow holds for them:
{licences}. The code has its own licence.
"""


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Write a model's card, README.md, and its figures into its folder."""
    figures = []
    for record in manifest["metrics"]:
        # One figure per protocol: of all clips, not of speech alone.
        name = f"confusion-{record['protocol']}.png"
        if record["protocol"] == "cross-corpus" or name in figures:
            continue
        figures.append(name)
        matrix = np.array(record["confusion_matrix"])
        evaluation.plot_confusion(matrix, record["emotions"], folder / name)
        if record["protocol"] == "speaker":
            figures.append("reliability-speaker.png")
            evaluation.plot_reliability(record["reliability"], folder / figures[-1])
    (folder / "README.md").write_text(_card(manifest, figures), encoding="utf-8")


def _card(manifest: dict[str, Any], figures: Sequence[str]) -> str:
    what = {
        "frames": "A temporal 1D-CNN with attentive statistics pooling over the sequence of "
        "264-dimensional frames",
        "vector": "The original system's 1D-CNN over one 264-dimensional vector, the mean over "
        "all frames",
    }[manifest["network"]]
    licences = {corpus["licence"] for corpus in manifest["corpora"].values()}
    training = manifest["training"]
    return _CARD.format(
        licence_id="cc-by-nc-sa-4.0" if licences == {"CC BY-NC-SA 4.0"} else "other",
        index=_model_index(manifest),
        name=manifest["name"],
        what=f"{what}, {manifest['parameters']:,} parameters. Speech in, one of "
        f"{len(manifest['labels'])} emotions out: {', '.join(manifest['labels'])}.",
        table=results_table([manifest]) if manifest["metrics"] else "Not evaluated.",
        chance=1 / len(manifest["labels"]),
        figures="".join(f"\n![{name[:-4].replace('-', ', ')}]({name})\n" for name in figures),
        reports="".join(f"\n```\n{evaluation.report(r)}\n```\n" for r in manifest["metrics"]),
        data="\n".join(
            f"- {name}: {corpus['clips']} clips ({' and '.join(corpus['channels'])}) of "
            f"{corpus['speakers']} speakers, {corpus['licence']}"
            for name, corpus in manifest["corpora"].items()
        ),
        training=f"seed {training['seed']}, {training['epochs']} epochs, softmax temperature "
        f"{training['temperature']:.2f} from validation clips",
        versions=", ".join(f"{name} {number}" for name, number in manifest["versions"].items()),
        licences=", ".join(sorted(licences)),
    )


def _model_index(manifest: dict[str, Any]) -> str:
    """Return the metrics in the form of Hugging Face's model cards."""
    if not manifest["metrics"]:
        return ""
    lines = ["model-index:", f"- name: {manifest['name']}", "  results:"]
    for record in manifest["metrics"]:
        lines += [
            "  - task: {type: audio-classification}",
            f"    dataset: {{name: {json.dumps(record['test'])}, type: audio}}",
            "    metrics:",
        ]
        for metric, words in (("uar", "UAR"), ("accuracy", "accuracy"), ("ece", "ECE")):
            label = json.dumps(f"{words}, {_PROTOCOL_WORDS[record['protocol']]}")
            lines.append(f"    - {{type: {metric}, name: {label}, value: {record[metric]:.4f}}}")
    return "\n".join(lines) + "\n"


def results_table(manifests: Iterable[dict[str, Any]]) -> str:
    """Return the metric records of some models as a Markdown table.

    The random split and the unheard speakers of one test set stand in neighbouring rows.
    """
    rows = [
        [
            f"`{manifest['name']}`",
            record["test"],
            _PROTOCOL_WORDS[record["protocol"]],
            _percent(record["uar"], record["uar_std"]),
            _interval(record["uar_interval"]),
            _percent(record["accuracy"]),
            _percent(record["ece"]),
            f"{len(record['seeds'])} × {record['folds']}",
        ]
        for manifest in manifests
        for record in sorted(manifest["metrics"], key=lambda r: (r["test"], r["protocol"]))
    ]
    head = ["model", "tested on", "question", "UAR %", "95 %", "accuracy %", "ECE %"]
    return _markdown([*head, "seeds × folds"], rows)


def f1_table(manifests: Iterable[dict[str, Any]]) -> str:
    """Return the F1 per emotion of some models, protocol beside protocol, as a Markdown table."""
    rows = []
    emotions: list[str] = []
    for manifest in manifests:
        seen = set()
        for record in manifest["metrics"]:
            if record["protocol"] in seen:
                continue
            seen.add(record["protocol"])
            emotions = manifest["labels"]
            scores = [f"{record['f1_per_emotion'].get(e, float('nan')):.2f}" for e in emotions]
            rows.append([f"`{manifest['name']}`", _PROTOCOL_WORDS[record["protocol"]], *scores])
    return _markdown(["model", "F1", *emotions], rows)


def original_table() -> str:
    """Return the table of benchmarks/original_protocol.py."""
    results = json.loads((ROOT / "benchmarks/results/original_protocol.json").read_text("utf-8"))
    rows = [
        [row["words"], _percent(row["accuracy"]), _percent(row["speech"])]
        for row in results["rows"]
    ]
    return _markdown(["the original's recipe", "accuracy %", "of speech alone %"], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(bounds: Sequence[float] | None) -> str:
    return f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}" if bounds else "one speaker"


def _percent(value: float, spread: float | None = None) -> str:
    return f"{100 * value:.1f}" + (f" ± {100 * spread:.1f}" if spread else "")


def fill(text: str) -> str:
    """Return a Markdown text with each block between markers written anew.

    `<!-- table: NAME -->` becomes a table, `<!-- output: NAME -->` the text of docs/output.
    """
    manifests = [
        json.loads((ROOT / "model" / name / MANIFEST).read_text("utf-8")) for name in SHIPPED
    ]
    tables = {
        "results": lambda: results_table(manifests),
        "f1": lambda: f1_table(manifests),
        "original": original_table,
    }

    def block(match: re.Match[str]) -> str:
        begin, kind, name = match[1], match[2], match[3]
        if kind == "table":
            return f"{begin}\n{tables[name]()}\n<!-- end -->"
        output = (ROOT / "docs" / "output" / f"{name}.txt").read_text("utf-8")
        return f"{begin}\n```\n{output.rstrip()}\n```\n<!-- end -->"

    return re.sub(r"(<!-- (table|output): (\w+) -->).*?<!-- end -->", block, text, flags=re.DOTALL)


def main() -> int:
    """Write the shipped models' cards and the README's tables."""
    for name in SHIPPED:
        folder = ROOT / "model" / name
        write(folder, json.loads((folder / MANIFEST).read_text("utf-8")))
    readme = ROOT / "README.md"
    readme.write_text(fill(readme.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
