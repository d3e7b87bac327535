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
PAGES = ("README.md", "docs/experiments.md", "docs/performance.md", "docs/reliability.md")

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
        asked = re.sub(r"[^a-z0-9]+", "-", f"{record['protocol']} {record['test']}".lower())
        name = f"confusion-{asked}.png"
        figures.append(name)
        matrix = np.array(record["confusion_matrix"])
        evaluation.plot_confusion(matrix, record["emotions"], folder / name)
        if record["protocol"] == "speaker":
            figures.append(f"reliability-{asked}.png")
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
        for record in _sorted(manifest["metrics"])
    ]
    head = ["model", "tested on", "question", "UAR %", "95 %", "accuracy %", "ECE %"]
    return _markdown([*head, "seeds × folds"], rows)


def _sorted(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records with the protocols of one test set beside each other."""
    return sorted(records, key=lambda record: (record["test"], record["protocol"]))


def f1_table(manifests: Sequence[dict[str, Any]]) -> str:
    """Return the F1 per emotion of some models, protocol beside protocol, as a Markdown table."""
    emotions = manifests[0]["labels"]
    rows = []
    for manifest in manifests:
        for record in _sorted(manifest["metrics"]):
            f1 = record["f1_per_emotion"]
            scores = [f"{f1[emotion]:.2f}" if emotion in f1 else "–" for emotion in emotions]
            question = _PROTOCOL_WORDS[record["protocol"]]
            rows.append([f"`{manifest['name']}`", record["test"], question, *scores])
    return _markdown(["model", "tested on", "question", *emotions], rows)


def original_table() -> str:
    """Return the table of benchmarks/original_protocol.py."""
    results = json.loads((ROOT / "benchmarks/results/original_protocol.json").read_text("utf-8"))
    rows = [
        [row["words"], _percent(row["accuracy"]), _percent(row["speech"])]
        for row in results["rows"]
    ]
    return _markdown(["the original's recipe", "accuracy %", "of speech alone %"], rows)


def ravdess_table() -> str:
    """Return what networks trained on RAVDESS alone reach, beside openSMILE on the same splits."""
    baseline = json.loads((ROOT / "benchmarks/results/opensmile_svm.json").read_text("utf-8"))
    found = [
        (f"openSMILE {record['features']}, linear SVM", record)
        for record in baseline["records"]
        # Its costs are chosen by speaker, which would sell it short on known voices.
        if record["train"] == "RAVDESS speech and song" and record["protocol"] == "speaker"
    ]
    for file in sorted((ROOT / "results").glob("ravdess-*.json")):
        result = json.loads(file.read_text("utf-8"))
        found += [(f"`{result['network']}`", record) for record in result["metrics"]]
    question = {1: "known voices (random 80/20)", 5: "unheard: Luna's 5 folds"}
    question[6] = "unheard: EmoBox's 6 folds"
    rows = [
        [
            record["test"],
            question[record["folds"]],
            name,
            _percent(record["uar"], record["uar_std"]),
            _interval(record["uar_interval"]),
            _percent(record["accuracy"]),
            f"{len(record['seeds'])}",
        ]
        for name, record in sorted(
            found, key=lambda pair: (pair[1]["test"], pair[1]["folds"], pair[1]["uar"])
        )
    ]
    head = ["tested on", "question", "system", "UAR %", "95 %", "accuracy %", "seeds"]
    return _markdown(head, rows)


def fairness_table(manifests: Iterable[dict[str, Any]]) -> str:
    """Return how unheard voices fare by sex, the worst of them, and what doubt is worth."""
    rows = []
    for manifest in manifests:
        for record in manifest["metrics"]:
            if record["protocol"] != "speaker":
                continue
            by_sex = [
                _percent(record["uar_by_sex"][sex]) if record["uar_by_sex"] else "unknown"
                for sex in ("women", "men")
            ]
            gain = 100 * (record["accuracy_of_surest"] - record["accuracy"])
            worst = min(record["accuracy_per_speaker"].values())
            name = f"`{manifest['name']}`"
            rows.append([name, record["test"], *by_sex, _percent(worst), f"+{gain:.1f}"])
    head = ["model", "tested on", "UAR % of women", "of men", "accuracy % of the worst voice"]
    return _markdown([*head, "accuracy points gained without the least certain quarter"], rows)


def known_voice_table() -> str:
    """Return the table of benchmarks/known_voice.py."""
    results = json.loads((ROOT / "benchmarks/results/known_voice.json").read_text("utf-8"))
    rows = [
        [
            row["reference"],
            _percent(row["uar_alone"]),
            _percent(row["uar_adapted"]),
            f"{row['actors_that_lost']} of 24",
        ]
        for row in results["rows"]
    ]
    return _markdown(["half a minute of", "UAR % without", "with it", "actors that lost"], rows)


def robustness_table() -> str:
    """Return the groups of benchmarks/robustness.py."""
    results = json.loads((ROOT / "benchmarks/results/robustness.json").read_text("utf-8"))
    rows = [
        [
            name,
            str(group["conditions"]),
            _percent(group["unchanged"]),
            _percent(group["unchanged_certain"]),
            f"{group['worst']}: {_percent(group['worst_unchanged'])}",
        ]
        for name, group in results["groups"].items()
    ]
    head = ["changes", "conditions", "unchanged %", "of the certain ones %", "worst"]
    return _markdown(head, rows)


def speed_table(name: str) -> str:
    """Return the table of a benchmark whose rows are `benchmarks.speed.row`."""
    results = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))
    rows = []
    for row in results["rows"]:
        beside = row["yardstick"] is not None
        at_least, aim = (
            f"{bound} ×" if beside else f"≤ {bound} {row['unit']}"
            for bound in (row["must"], row["aim"])
        )
        yardstick = _quantity(row["yardstick"], row["unit"]) if beside else ""
        ratio = f"{row['ratio']:.1f} ×" if beside else ""
        ours = _quantity(row["ours"], row["unit"])
        rows.append([row["what"], yardstick, ours, ratio, at_least, aim])
    return _markdown(["what", "yardstick", "ours", "ratio", "wanted", "better"], rows)


def growth_table() -> str:
    """Return the table of benchmarks/growth.py."""
    results = json.loads((ROOT / "benchmarks/results/growth.json").read_text("utf-8"))
    rows = [
        [
            f"{row['files']:,}".replace(",", " "),
            _quantity(row["seconds"], "s"),
            _quantity(1000 * row["core_seconds"] / row["files"], "ms"),
            _quantity(row["command_mb"], "MB"),
            _quantity(row["worker_mb"], "MB") if row["worker_mb"] else "none works",
        ]
        for row in results["rows"]
    ]
    head = ["files", "time", "on a core, per file", "memory of the command", "of a worker"]
    return _markdown(head, rows)


def fuzz_table() -> str:
    """Return what became of the cases of benchmarks/fuzz.py."""
    results = json.loads((ROOT / "benchmarks/results/fuzz.json").read_text("utf-8"))
    counts = ["cases", "heard", "some heard", "said why not", "broken"]
    rows = [
        [
            kind,
            *(f"{row[count]:,}".replace(",", " ") for count in counts),
            _quantity(row["slowest_s"], "s"),
            _quantity(row["most_mb"], "MB"),
        ]
        for kind, row in [*results["kinds"].items(), ("all", results["all"])]
    ]
    return _markdown(["what came in", *counts, "slowest", "most memory"], rows)


def fuzz_large_table() -> str:
    """Return the large files of benchmarks/fuzz.py."""
    results = json.loads((ROOT / "benchmarks/results/fuzz.json").read_text("utf-8"))
    rows = [
        [
            row["what"],
            row["said"].partition(";")[0],
            _quantity(row["seconds"], "s"),
            _quantity(row["mb"], "MB"),
        ]
        for row in results["large"]
    ]
    return _markdown(["what came in", "what was said", "time", "most memory"], rows)


def steps_table(name: str) -> str:
    """Return the steps towards speed of a benchmark: steps.py or folder.py."""
    results = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))
    rows = [
        [
            step["what"],
            step["expected"],
            _quantity(step["before"], step["unit"]),
            _quantity(step["after"], step["unit"]),
            ", ".join(filter(None, ("kept" if step["kept"] else "not kept", step["note"]))),
        ]
        for step in results["steps"]
    ]
    return _markdown(["step", "expected", "before", "after", ""], rows)


def experiments_table() -> str:
    """Return what was tried on inner validation, as a Markdown table."""
    rows = [
        [
            row["what"],
            *(_maybe(row[key]) for key in ("speech", "both", "known_voice", "to_crema_d")),
        ]
        for row in _experiments()["rows"]
    ]
    return _markdown(["network and recipe", "speech", "both", "known voice", "to CREMA-D"], rows)


def references_table() -> str:
    """Return what references of a speaker were worth on inner validation, as a Markdown table."""
    references = _experiments()["references"]
    rows = [[row["reference"], *map(_percent, row["uar"])] for row in references["rows"]]
    return _markdown(["reference", *(f"{share:g}" for share in references["shares"])], rows)


def _experiments() -> dict[str, Any]:
    return json.loads((ROOT / "results" / "experiments.json").read_text("utf-8"))


def _maybe(value: float | None) -> str:
    return "" if value is None else _percent(value)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _quantity(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


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
        "ravdess": ravdess_table,
        "fairness": lambda: fairness_table(manifests),
        "known_voice": known_voice_table,
        "robustness": robustness_table,
        "speed": lambda: speed_table("speed"),
        "folder": lambda: speed_table("folder"),
        "cluster": lambda: speed_table("cluster"),
        "growth": growth_table,
        "steps": lambda: steps_table("steps"),
        "fuzz": fuzz_table,
        "fuzz_large": fuzz_large_table,
        "folder_steps": lambda: steps_table("folder"),
        "experiments": experiments_table,
        "references": references_table,
    }

    def block(match: re.Match[str]) -> str:
        begin, kind, name = match[1], match[2], match[3]
        if kind == "table":
            return f"{begin}\n{tables[name]()}\n<!-- end -->"
        output = (ROOT / "docs" / "output" / f"{name}.txt").read_text("utf-8")
        return f"{begin}\n```\n{output.rstrip()}\n```\n<!-- end -->"

    return re.sub(r"(<!-- (table|output): (\w+) -->).*?<!-- end -->", block, text, flags=re.DOTALL)


def main() -> int:
    """Write the shipped models' cards and the tables of the pages."""
    for name in SHIPPED:
        folder = ROOT / "model" / name
        write(folder, json.loads((folder / MANIFEST).read_text("utf-8")))
    for name in PAGES:
        page = ROOT / name
        page.write_text(fill(page.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
