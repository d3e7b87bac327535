"""The card of a model and its figures, written from its manifest: no number is typed by hand."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import evaluation
import protocols
from familiarity import TEMPERATURE
from features import PAUSE_DB

PROTOCOL_WORDS = {
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

Written by `model_card.py`.

## Results

{table}

From `manifest.json`. UAR is the unweighted average recall: guessing scores {chance}. Every
clip that is tested counts once per seed; ± is the standard deviation over folds and seeds, the
interval the 95 % bootstrap over speakers, ECE the expected calibration error. Of a random split's
test clips, many may have a twin in the training: the same voice, sentence and emotion once more.
Across corpora, only emotions that both know are asked about, and may be answered.{folds}
{figures}{reports}{ablation}
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

_ABLATION = """
## What helped, and what did not

{table}

These are no test figures: UAR on validation speakers (known voices: accuracy), from
`results/experiments.json`, of one network where a row does not say otherwise, and mostly of earlier
recipes. Differences of less than three points are chance. How they were measured, what the words
mean, and everything else that was tried: [docs/experiments.md](../../docs/experiments.md).
"""


def write(folder: Path, manifest: dict[str, Any], *, ablation: str = "") -> None:
    """Write a model's card, README.md, and its figures into its folder.

    Args:
        folder: of the model.
        manifest: of the model.
        ablation: Markdown table of what other recipes were worth, for a shipped model.
    """
    figures = dict[str, str]()  # and what they show, for who can't see them
    for record in manifest["metrics"]:
        shown = f"{PROTOCOL_WORDS[record['protocol']]}, {record['test']}"
        asked = re.sub(r"[\W_]+", "-", f"{record['protocol']} {record['test']}".lower())
        if f"confusion-{asked}.png" in figures:  # of corpora whose names differ in a hyphen
            asked = f"{asked}-{len(figures)}"
        name = f"confusion-{asked}.png"
        figures[name] = f"Confusion matrix: {shown}"
        matrix = np.array(record["confusion_matrix"])
        evaluation.plot_confusion(matrix, record["emotions"], folder / name)
        if record["protocol"] == "speaker":
            name = f"reliability-{asked}.png"
            figures[name] = f"Reliability curve: {shown}"
            evaluation.plot_reliability(record["reliability"], folder / name)
    card = _card(manifest, figures, ablation)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _chance(manifest: dict[str, Any]) -> str:
    """Return in words what guessing scores: where fewer emotions are tested, it scores more."""
    numbers = {len(record["f1_per_emotion"]) for record in manifest["metrics"]}
    asked = sorted(numbers or {len(manifest["labels"])}, reverse=True)
    return " or ".join(f"{1 / number:.1%} of {number} emotions" for number in asked)


def _folds(manifest: dict[str, Any]) -> str:
    """Return whose speaker folds of RAVDESS a model was tested on, where they are published."""
    if "RAVDESS" in manifest["corpora"] and manifest["corpora"]["RAVDESS"]["speakers"] == 24:
        for record in manifest["metrics"]:
            if record["protocol"] == "speaker" and record["folds"] in protocols.PUBLISHED:
                whose = protocols.PUBLISHED[record["folds"]]
                return f" The\nspeaker folds of RAVDESS are those of {whose}."
    return ""


def _card(manifest: dict[str, Any], figures: Mapping[str, str], ablation: str) -> str:
    what = {
        "frames": "A temporal 1D-CNN with attentive statistics pooling over the sequence of "
        "264-dimensional frames and the pitch that is read off their mel bands, and beside it a "
        "kernel machine of the functionals of whole clips",
        "vector": "The original system's 1D-CNN over one 264-dimensional vector, the mean over "
        f"all frames but pauses (more than {PAUSE_DB:g} dB softer than the loudest)",
    }[manifest["network"]]
    licences = {corpus["licence"] for corpus in manifest["corpora"].values()}
    training = manifest["training"]
    familiar = manifest.get("familiar")  # not in models trained before it was looked for
    usual = training.get("usual_temperature")  # likewise
    return _CARD.format(
        licence_id="cc-by-nc-sa-4.0" if licences == {"CC BY-NC-SA 4.0"} else "other",
        index=_model_index(manifest),
        name=manifest["name"],
        what=f"{what}, {manifest['parameters']:,} parameters. Speech in, one of "
        f"{len(manifest['labels'])} emotions out: {', '.join(manifest['labels'])}.",
        table=results_table([manifest]) if manifest["metrics"] else "Not evaluated.",
        chance=_chance(manifest),
        folds=_folds(manifest),
        figures="".join(f"\n![{shown}]({name})\n" for name, shown in figures.items()),
        reports="".join(f"\n```\n{evaluation.report(r)}\n```\n" for r in manifest["metrics"]),
        ablation=_ABLATION.format(table=ablation) if ablation else "",
        data="\n".join(
            f"- {name}: {corpus['clips']} clips ({' and '.join(corpus['channels'])}) of "
            f"{corpus['speakers']} speakers, {corpus['licence']}"
            for name, corpus in manifest["corpora"].items()
        ),
        training=f"seed {training['seed']}, {training['epochs']} epochs, networks averaged: "
        f"{training['members']}, their logits divided by the temperature "
        f"{training['temperature']:.2f} from validation clips"
        + (
            f", drawn towards the usual {usual:.2f}, the more so the fewer voices these hold"
            if usual
            else ""
        )
        + (f", up to {TEMPERATURE:g} times as high for recordings unlike these" if familiar else "")
        + (
            ", and of these a linear model of the averages over time is heard as well"
            if manifest.get("averages")
            else ""
        ),
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
            label = json.dumps(f"{words}, {PROTOCOL_WORDS[record['protocol']]}")
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
            PROTOCOL_WORDS[record["protocol"]],
            percent(record["uar"], record["uar_std"]),
            interval(record["uar_interval"]),
            percent(record["accuracy"]),
            percent(record["ece"]),
            f"{len(record['seeds'])} × {record['folds']}",
        ]
        for manifest in manifests
        for record in by_test_set(manifest["metrics"])
    ]
    head = ["model", "tested on", "question", "UAR %", "95 %", "accuracy %", "ECE %"]
    return markdown([*head, "seeds × folds"], rows)


def by_test_set(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records with the protocols of one test set beside each other."""
    return sorted(records, key=lambda record: (record["test"], record["protocol"]))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(bounds: Sequence[float] | None) -> str:
    """Return the two ends of an interval in per cent."""
    return f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}" if bounds else "one speaker"


def percent(value: float, spread: float | None = None) -> str:
    """Return a share in per cent, with its spread where there is one."""
    return f"{100 * value:.1f}" + (f" ± {100 * spread:.1f}" if spread else "")
