"""Write the model cards, and the tables of the pages, from manifests and results files.

    make tables

No number is typed by hand: what stands between the markers of README.md and the pages of docs/ is
written anew.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import experiment_tables  # noqa: E402
import numpy as np  # noqa: E402

import limits  # noqa: E402
import model_card  # noqa: E402
from corpora import EMOTIONS  # noqa: E402
from model_card import PROTOCOL_WORDS, interval, markdown, percent  # noqa: E402
from model_folder import MANIFEST  # noqa: E402

SHIPPED = ("frames", "vector")
PAGES = (
    "README.md",
    "SECURITY.md",
    "docs/experiments.md",
    "docs/performance.md",
    "docs/reliability.md",
    "docs/results.md",
)
#: The results files that the tables are made of, and what they are of.
PUBLISHED = {
    "vector-random": "`vector`",
    "vector-speaker6": "`vector`",
    "ravdess-random": "`frames` of RAVDESS alone",
    "ravdess-speaker6": "`frames` of RAVDESS alone",
    "frames-random": "`frames`",
    "frames-speaker5": "`frames`",
    "frames-speaker6": "`frames`",
    "frames-cross-corpus": "`frames`",
}
TESTS = ("RAVDESS speech", "RAVDESS speech and song", "CREMA-D speech")
LUNA = "Luna's 5 folds"


def original_table() -> str:
    """Return the table of benchmarks/original_protocol.py."""
    results = json.loads((ROOT / "benchmarks/results/original_protocol.json").read_text("utf-8"))
    rows = [
        [row["words"], percent(row["accuracy"]), percent(row["speech"]), str(row["tested"])]
        for row in results["rows"]
    ]
    head = ["the original's recipe", "accuracy %", "of speech alone %", "clips tested"]
    return markdown(head, rows)


def measured() -> list[tuple[str, dict[str, Any]]]:
    """Return the records of all systems on our clips, each with its system's name, test by test."""
    baseline = json.loads((ROOT / "benchmarks/results/opensmile_svm.json").read_text("utf-8"))
    records = [(_baseline_name(record), record) for record in baseline["records"]]
    for file, name in PUBLISHED.items():
        result = json.loads((ROOT / f"results/{file}.json").read_text("utf-8"))
        records += [(name, record) for record in result["metrics"]]
    asked = [(name, record) for name, record in records if _question(record)]
    return sorted(asked, key=lambda row: (TESTS.index(row[1]["test"]), _question(row[1])))


def _baseline_name(record: dict[str, Any]) -> str:
    """Return the name of an SVM; what its training had that others' have not, comes last."""
    of_speech = ", of speech alone" if record["train"] == "RAVDESS speech" else ""
    helped = ", helped" if record["helped"] else ""
    return f"openSMILE {record['features']}, linear SVM{of_speech}{helped}"


def _question(record: dict[str, Any]) -> str:
    """Return what a record answers, or '' where its folds are nobody's."""
    if record["protocol"] != "speaker":
        return PROTOCOL_WORDS[record["protocol"]]
    corpus = record["test"].split()[0]
    folds = {("RAVDESS", 5): LUNA, ("RAVDESS", 6): "EmoBox's 6 folds", ("CREMA-D", 5): "5 folds"}
    return f"unheard voices ({folds[key]})" if (key := (corpus, record["folds"])) in folds else ""


def in_brief() -> list[tuple[str, dict[str, Any]]]:
    """Return the same, of RAVDESS' folds EmoBox's alone."""
    return [(name, record) for name, record in measured() if LUNA not in _question(record)]


def overview_table() -> str:
    """Return one row per system and test set, and a column per question; the best of a baseline."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, record in in_brief():
        cell = record["test"], re.sub("(?<=SVM),.*", "", name), record["protocol"]
        found[cell] = max(found.get(cell, record), record, key=lambda record: record["uar"])
    words = {
        cell: f"{percent(record['uar'], record['uar_std'])} ({interval(record['uar_interval'])})"
        for cell, record in found.items()
    }
    rows = [
        [*row, *(words.get((*row, protocol), "–") for protocol in PROTOCOL_WORDS)]
        for row in dict.fromkeys((test, system) for test, system, _ in found)
    ]
    return markdown(["tested on", "system", *PROTOCOL_WORDS.values()], rows)


def systems_table() -> str:
    """Return all that was measured of all systems, folds by folds."""
    rows = [
        [
            record["test"],
            _question(record),
            name,
            percent(record["uar"], record["uar_std"]),
            interval(record["uar_interval"]),
            percent(record["accuracy"]),
            f"{percent(record['ece'])} ({percent(_chance_ece(record))})"
            if "ece" in record
            else "–",
            f"{len(record['seeds'])} × {record['folds']}",
        ]
        for name, record in measured()
    ]
    head = ["tested on", "question", "system", "UAR %", "95 %", "accuracy %", "ECE %"]
    return markdown([*head, "seeds × folds"], rows)


def _chance_ece(record: dict[str, Any]) -> float:
    """Return the ECE to be expected of a seed's clips if all were as sure as they are right.

    In each bin it is the mean distance of a normal variable from its mean.
    """
    clips = np.array([bin_["clips"] for bin_ in record["reliability"]]) / len(record["seeds"])
    sure = np.array([bin_["confidence"] for bin_ in record["reliability"]])
    return float(np.sqrt(2 / np.pi * sure * (1 - sure) * clips).sum() / clips.sum())


def f1_table() -> str:
    """Return the F1 per emotion of our networks."""
    rows = []
    for name, record in in_brief():
        if name.startswith("`"):
            f1 = record["f1_per_emotion"]
            scores = [f"{f1[emotion]:.2f}" if emotion in f1 else "–" for emotion in EMOTIONS]
            rows.append([record["test"], _question(record), name, *scores])
    return markdown(["tested on", "question", "system", *EMOTIONS], rows)


def fairness_table() -> str:
    """Return how unheard voices fare by sex, the worst of them, and what doubt is worth."""
    rows = []
    for name, record in in_brief():
        if record["protocol"] == "speaker":
            by_sex = [percent(record["uar_by_sex"][sex]) for sex in ("women", "men")]
            worst = percent(min(record["accuracy_per_speaker"].values()))
            surest = record.get("accuracy_of_surest")
            gain = f"+{100 * (surest - record['accuracy']):.1f}" if surest else "–"
            rows.append([record["test"], name, *by_sex, worst, gain])
    head = ["tested on", "system", "UAR % of women", "of men", "accuracy % of the worst voice"]
    return markdown([*head, "accuracy points gained without the least certain quarter"], rows)


def known_voice_table() -> str:
    """Return the table of benchmarks/known_voice.py."""
    results = json.loads((ROOT / "benchmarks/results/known_voice.json").read_text("utf-8"))
    rows = [
        [
            row["reference"],
            percent(row["uar_alone"]),
            percent(row["uar_adapted"]),
            f"+{100 * row['gain']:.1f}",
            interval(row["gain_interval"]),
            f"{row['actors_that_lost']} of 24",
        ]
        for row in results["rows"]
    ]
    head = ["a voice is known by", "UAR % without", "with it", "points gained", "95 %"]
    return markdown([*head, "actors whose accuracy fell"], rows)


def robustness_table() -> str:
    """Return the groups of benchmarks/robustness.py."""
    results = json.loads((ROOT / "benchmarks/results/robustness.json").read_text("utf-8"))
    rows = [
        [
            name,
            percent(group["unchanged"]),
            percent(group["unchanged_certain"]),
            f"{group['worst']}: {percent(group['worst_unchanged'])}",
            f"{group['must']:.0%}: {group['conditions_at_must']} of {group['conditions']}",
        ]
        for name, group in results["groups"].items()
    ]
    head = ["changes", "unchanged %", "of the certain ones %", "worst"]
    return markdown([*head, "conditions with at least"], rows)


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
    table = markdown(["what", "yardstick", "ours", "ratio", "wanted", "better"], rows)
    machine = results["machine"]
    return f"{table}\n\nMeasured on {machine['cores']} cores ({machine['processor']})."


def hour_table() -> str:
    """Return what the parts of the work on an hour take: benchmarks/speed.py."""
    results = json.loads((ROOT / "benchmarks/results/speed.json").read_text("utf-8"))
    parts = results["hour_parts"]
    rows = [
        [name, _quantity(seconds, "s"), f"{100 * seconds / parts['in all']:.0f} %"]
        for name, seconds in parts.items()
    ]
    return markdown(["part", "on one core", "share"], rows)


def training_table() -> str:
    """Return the table of benchmarks/training.py."""
    results = json.loads((ROOT / "benchmarks/results/training.json").read_text("utf-8"))
    rows = [[row["what"], _quantity(row["value"], row["unit"])] for row in results["rows"]]
    return markdown(["what", "ours"], rows)


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
    return markdown(head, rows)


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
    return markdown(["what came in", *counts, "slowest", "most memory"], rows)


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
    return markdown(["what came in", "what was said", "time", "most memory"], rows)


def long_haul_table() -> str:
    """Return what benchmarks/long_haul.py counted."""
    results = json.loads((ROOT / "benchmarks/results/long_haul.json").read_text("utf-8"))
    words = {
        "api": "one process, clip after clip",
        "page": "the page, visitors one after the other",
        "crowd": "the page, {visitors} visitors at once for {minutes:g} minutes",
    }
    rows = [
        [
            what.format(**results[name]),
            f"{results[name]['answers']:,}".replace(",", " "),
            str(results[name]["wrong"]),
            *(f"{memory} MB" for memory in (looks[0], max(looks), looks[-1])),
        ]
        for name, what in words.items()
        if name in results and (looks := results[name]["memory_mb"])
    ]
    head = ["what", "answers", "wrong", "memory after the warm-up", "at most", "at the end"]
    return markdown(head, rows)


def page_table() -> str:
    """Return what benchmarks/page_load.py measured."""
    results = json.loads((ROOT / "benchmarks/results/page_load.json").read_text("utf-8"))
    visitors = results["crowd"]["visitors"]
    waits = {
        "a new browser: anything drawn": results["browser"]["first_paint"],
        "a new browser: the place for recordings": results["browser"]["usable"],
        "one visitor: the answer to a 4 s upload": results["alone"]["answered"],
        "one visitor: everything about it": results["alone"]["complete"],
        f"{visitors} visitors at once: the answer": results["crowd"]["answered"],
        f"{visitors} visitors at once: everything about it": results["crowd"]["complete"],
    }
    rows = [
        [what, *(f"{seconds[share]:.2f} s" for share in ("p50", "p95"))]
        for what, seconds in waits.items()
    ]
    table = markdown(["seconds until", "median", "95th percentile"], rows)
    memory = results["server_memory_mb"]
    return (
        f"{table}\n\nThe server holds {memory[0]} MB before the first {visitors} visitors, "
        f"{memory[1]} MB behind them, {memory[-1]} MB behind {visitors * results['rounds']}."
    )


def limits_table() -> str:
    """Return the numbers of limits.py, each with the comment beside it."""
    source = Path(limits.__file__).read_text("utf-8")
    rows = [
        [f"{getattr(limits, name):,}".replace(",", " "), comment, f"`{name}`"]
        for name, comment in re.findall(r"^(\w+) = .*?  # (.*)$", source, flags=re.MULTILINE)
    ]
    return markdown(["limit", "of what", "in `limits.py`"], rows)


def faults_table() -> str:
    """Return what became of the kills of benchmarks/faults.py."""
    results = json.loads((ROOT / "benchmarks/results/faults.json").read_text("utf-8"))
    rows = [
        [
            row["what"],
            *(str(row[count]) for count in ("kills", "went_on", "broken")),
            _quantity(row["slowest_s"], "s"),
        ]
        for row in [*results["kinds"].values(), results["all"]]
    ]
    return markdown(["what was killed", "kills", "went on", "broken", "slowest to go on"], rows)


def steps_table(name: str) -> str:
    """Return the steps towards speed of a benchmark, such as steps.py, as a Markdown table."""
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
    return markdown(["step", "expected", "before", "after", ""], rows)


def _quantity(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def fill(text: str) -> str:
    """Return a Markdown text with each block between markers written anew.

    `<!-- table: NAME -->` becomes a table, `<!-- output: NAME -->` the text of docs/output.
    """
    tables = {
        "original": original_table,
        "overview": overview_table,
        "systems": systems_table,
        "f1": f1_table,
        "fairness": fairness_table,
        "known_voice": known_voice_table,
        "robustness": robustness_table,
        "speed": lambda: speed_table("speed"),
        "folder": lambda: speed_table("folder"),
        "cluster": lambda: speed_table("cluster"),
        "growth": growth_table,
        "hour": hour_table,
        "training": training_table,
        "steps": lambda: steps_table("steps"),
        "fuzz": fuzz_table,
        "fuzz_large": fuzz_large_table,
        "faults": faults_table,
        "folder_steps": lambda: steps_table("folder"),
        "cluster_steps": lambda: steps_table("cluster"),
        "limits": limits_table,
        "page": page_table,
        "long_haul": long_haul_table,
        **experiment_tables.TABLES,
    }

    def block(match: re.Match[str]) -> str:
        begin, kind, name = match[1], match[2], match[3]
        if kind == "table":
            return f"{begin}\n{tables[name]()}\n<!-- end -->"
        output = (ROOT / "docs" / "output" / f"{name}.txt").read_text("utf-8")
        return f"{begin}\n```\n{output.rstrip()}\n```\n<!-- end -->"

    between_markers = r"(<!-- (table|output): ([\w.]+) -->).*?<!-- end -->"
    return re.sub(between_markers, block, text, flags=re.DOTALL)


def write_card(name: str, folder: Path) -> None:
    """Write the card of a shipped model and its figures into a folder."""
    manifest = json.loads((ROOT / "model" / name / MANIFEST).read_text("utf-8"))
    model_card.write(folder, manifest, ablation=experiment_tables.ablation_table(name))


def main() -> int:
    """Write the shipped models' cards and the tables of the pages."""
    for name in SHIPPED:
        write_card(name, ROOT / "model" / name)
    for name in PAGES:
        page = ROOT / name
        page.write_text(fill(page.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
