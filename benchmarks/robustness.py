"""How many answers stay the same when the recording changes and the emotion does not.

    python benchmarks/robustness.py DATA

DATA holds ravdess/, noise/ (everyday sounds) and rooms/ (impulse responses). The networks are those
of the speaker folds that `train.py --data DATA/ravdess --evaluate speaker` trains (EmoBox's six;
finished ones are found, not trained again). Each is asked about some clips of the actors it never
heard, once as recorded and once under each of the `conditions`, the way the program asks: same
features, same temperature, same limits of what is uncertain.

Per condition: the share of answers that stay the same, of all clips, of those that were not
uncertain, of women and of men; the mean change of the probability of the first answer; accuracy and
UAR. 'No voice' in place of an emotion is a changed answer.

Writes benchmarks/results/robustness.json. Answers under a condition are kept: stopped, the same
command goes on from there.
"""

import argparse
import hashlib
import json
import os
import sys
import zlib
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import audio  # noqa: E402
import augment  # noqa: E402
import averages  # noqa: E402
import classifier  # noqa: E402
import corpora  # noqa: E402
import evaluation  # noqa: E402
import familiarity  # noqa: E402
import features  # noqa: E402
import files  # noqa: E402
import gate  # noqa: E402
import model_folder  # noqa: E402
import protocols  # noqa: E402
import windows  # noqa: E402
from benchmarks import conditions, emobox  # noqa: E402

if TYPE_CHECKING:
    from crossvalidation import Finished

RESULTS = ROOT / "benchmarks" / "results" / "robustness.json"
FEWEST = 10  # clips per fold, so that no share below is one of nothing
VOICES = 32  # test clips of a fold that its babble is made of; none of them is asked about
CLEAN = "as recorded"
AS_RECORDED = conditions.Condition("", lambda waveform, rng: waveform)
NOTHING = "nothing"  # the answer where no voice was found
MEASURES = (
    "unchanged",
    "unchanged_certain",
    "unchanged_women",
    "unchanged_men",
    "probability_change",
    "accuracy",
    "uar",
)

_MODULES = (audio, augment, averages, classifier, conditions, familiarity, features, gate, windows)
#: Digest of the code, as it was when imported, that decides what is said of a clip.
CODE = hashlib.sha256(
    b"".join(
        Path(file).read_bytes()
        for file in (*(module.__file__ for module in _MODULES), ROOT / "functionals.py", __file__)
    )
).hexdigest()


def main() -> int:
    """Ask the networks of all folds and write the results file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds ravdess, noise and rooms")
    parser.add_argument("--clips", type=int, default=40, help="per fold and seed (default: 40)")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of the trainings")
    arguments = parser.parse_args()
    data = arguments.data
    for name in ("ravdess", "noise", "rooms"):
        if not any(p.suffix.lower() in audio.EXTENSIONS for p in (data / name).rglob("*")):
            parser.error(f"{data} has no sounds in {name}; ravdess, noise and rooms are expected")
    try:
        table = corpora.scan(data / "ravdess")
        splits = protocols.splits(table, "speaker", folds=emobox.FOLDS, seed=0)
    except (corpora.CorpusError, protocols.ProtocolError) as error:
        parser.error(str(error))
    if set(table.corpus) != {"RAVDESS"}:
        parser.error(f"{data / 'ravdess'} holds other corpora than RAVDESS; take them out")
    speech = table.channel == "speech"
    most = min(int(speech.iloc[split.test].sum()) for split in splits) - VOICES
    if not FEWEST <= arguments.clips <= most:
        parser.error(f"--clips {arguments.clips} found, {FEWEST} to {most} are expected")

    folds = emobox.train(table, seeds=arguments.seed, jobs=arguments.jobs)
    table = folds[0].ensemble.job.dataset.table
    said = ask(table, folds, data, clips=arguments.clips)
    asked = said[said.condition == CLEAN].groupby(["fold", "seed"], sort=False)["clip"]
    content = {
        "corpus": evaluation.summarise(table),
        "seeds": arguments.seed,
        "versions": model_folder.versions() | {"av": version("av")},
        "clips": [
            {"test_actors": fold, "seed": seed, "clips": list(names)}
            for (fold, seed), names in asked
        ],
        **figures(said),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(report(content))
    return 0


def ask(table: pd.DataFrame, folds: list["Finished"], data: Path, *, clips: int) -> pd.DataFrame:
    """Return what the folds' networks say of some of their test clips under each condition.

    Returns:
        For each condition (`CLEAN` first) the same clips in the same order: fold, seed, clip,
        speaker, label, condition, group, emotion, uncertain, and one probability per emotion.
    """
    from tqdm import tqdm

    changed = partial(conditions.table, data / "noise", data / "rooms")
    around = sorted(p for name in ("noise", "rooms") for p in (data / name).rglob("*.*"))
    said = []
    total = len(folds) * (1 + len(changed([])))
    with tqdm(total=total, desc=f"{len(folds)} folds", unit="condition") as bar:
        for fold in folds:
            seed = fold.result.seed
            rng = np.random.default_rng([seed, _number(fold.result.fold)])
            drawn = table.iloc[rng.permutation(fold.result.test)]
            asked, rest = drawn[:clips], drawn[clips:]
            talk = rest[rest.channel == "speech"][:VOICES]
            waveforms = {Path(path).stem: audio.load(path) for path in asked.path}
            voices = [audio.load(path) for path in talk.path]
            model = fold.ensemble.classifier()
            heard = [*asked.path, *talk.path, *around]
            cache = emobox.CACHE / "robustness" / _key(fold, list(waveforms), heard)
            cache.mkdir(parents=True, exist_ok=True)
            for name, (group, change) in {CLEAN: AS_RECORDED, **changed(voices)}.items():
                file = cache / f"{_number(name):08x}.parquet"
                if not file.exists():
                    answers = answer(model, waveforms, name, change, seed=seed)
                    part = file.with_suffix(".part")
                    answers.to_parquet(part)
                    part.replace(file)
                said.append(
                    pd.read_parquet(file).assign(
                        fold=fold.result.fold,
                        seed=seed,
                        clip=list(waveforms),
                        speaker=asked.speaker.to_numpy(),
                        label=asked.emotion.to_numpy(),
                        condition=name,
                        group=group,
                    )
                )
                bar.update()
    return pd.concat(said, ignore_index=True)


def answer(
    model: classifier.EmotionClassifier,
    waveforms: dict[str, np.ndarray],
    condition: str,
    change: conditions.Change,
    *,
    seed: int,
) -> pd.DataFrame:
    """Return the answers to changed waveforms: emotion, uncertain, one probability per emotion."""
    rows = []
    for clip, waveform in waveforms.items():
        # From names, not places: the draw stays whatever else is asked.
        rng = np.random.default_rng([seed, _number(condition), _number(clip)])
        said = model.classify_waveform(change(waveform, rng))
        rows.append(
            {
                "emotion": said.emotion or NOTHING,
                "uncertain": said.uncertain,
                **said.probabilities,
            }
        )
    return pd.DataFrame(rows)


def figures(said: pd.DataFrame) -> dict[str, Any]:
    """Return the figures as recorded, per group and per condition, of a table of `ask`."""
    before = said[said.condition == CLEAN].reset_index(drop=True)
    rows = [
        {"name": name, "group": group, **compare(before, after.reset_index(drop=True))}
        for (name, group), after in said.groupby(["condition", "group"], sort=False)
        if name != CLEAN
    ]
    groups = {}
    for group, (must, aim) in conditions.TARGETS.items():
        members = [row for row in rows if row["group"] == group]
        worst = min(members, key=lambda row: row["unchanged"])
        groups[group] = {
            "must": must,
            "aim": aim,
            "conditions": len(members),
            "conditions_at_must": sum(row["unchanged"] >= must for row in members),
            **{name: float(np.mean([row[name] for row in members])) for name in MEASURES},
            "worst": worst["name"],
            "worst_unchanged": worst["unchanged"],
        }
    as_recorded = {
        "clips": len(before),
        "certain": float(1 - before.uncertain.mean()),
        "accuracy": evaluation.accuracy(before.label, before.emotion),
        "uar": evaluation.uar(before.label, before.emotion),
    }
    return {"as_recorded": as_recorded, "groups": groups, "conditions": rows}


def compare(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """Return the `MEASURES` of a condition from the answers to the same clips before and after."""
    same = (before.emotion == after.emotion).to_numpy()
    heard = before[before.emotion != NOTHING]
    columns = heard.emotion.map(corpora.EMOTIONS.index)
    change = (after[[*corpora.EMOTIONS]] - before[[*corpora.EMOTIONS]]).to_numpy()
    women = before.speaker.str[-2:].astype(int) % 2 == 0  # RAVDESS gave them the even numbers
    measures = (
        same.mean(),
        same[~before.uncertain].mean(),
        same[women].mean(),
        same[~women].mean(),
        change[heard.index, columns].mean(),
        evaluation.accuracy(before.label, after.emotion),
        evaluation.uar(before.label, after.emotion),
    )
    return dict(zip(MEASURES, map(float, measures), strict=True))


def report(content: dict[str, Any]) -> str:
    """Return the figures as a table for the terminal."""
    clean = content["as_recorded"]
    lines = [
        f"{clean['clips']} clips of unheard actors. As recorded: accuracy {clean['accuracy']:.1%}, "
        f"UAR {clean['uar']:.1%}, {clean['certain']:.0%} certain",
        "",
        f"{'unchanged:':30}    all  certain  women    men   probability  accuracy    UAR",
    ]
    for name, group in content["groups"].items():
        for row in [row for row in content["conditions"] if row["group"] == name]:
            lines.append(_line(row["name"], row))
        lines += [
            _line(f"= {name}, mean", group),
            f"  at least {group['must']:.0%}: {group['conditions_at_must']} of "
            f"{group['conditions']} conditions; worst: {group['worst']}",
            "",
        ]
    return "\n".join(lines)


def _line(name: str, row: dict[str, Any]) -> str:
    return (
        f"{name:30}{row['unchanged']:7.1%}{row['unchanged_certain']:9.1%}"
        f"{row['unchanged_women']:7.1%}{row['unchanged_men']:7.1%}"
        f"{row['probability_change']:+14.3f}{row['accuracy']:10.1%}{row['uar']:7.1%}"
    )


def _key(fold: "Finished", clips: list[str], heard: list[str | Path]) -> str:
    """Return a name for all that an answer under a condition depends on."""
    members = [files.sha256(task.file) for task in fold.ensemble.tasks]
    sounds = [files.sha256(Path(path)) for path in heard]
    content = [CODE, members, fold.ensemble.temperature, fold.result.seed, clips, sounds]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _number(text: str) -> int:
    return zlib.crc32(text.encode())


if __name__ == "__main__":
    sys.exit(main())
