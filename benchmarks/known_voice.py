"""What it is worth to know a voice: unheard actors with and without a reference of their speech.

    python benchmarks/known_voice.py data/ravdess

The networks of the EmoBox folds (`train.py --evaluate speaker`; finished ones are not trained
again) are asked about their own test actors as they are, and adapted to the actor: by half a minute
or two minutes of random clips whose labels nobody needs, and by half a minute of neutral and calm
clips, five times each. Clips of a reference are not asked about, with or without it. All figures
are of speech, eight emotions.

Writes benchmarks/results/known_voice.json.
"""

import argparse
import itertools
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from tqdm import tqdm  # noqa: E402

import corpora  # noqa: E402
import evaluation  # noqa: E402
import model_folder  # noqa: E402
from benchmarks import emobox  # noqa: E402

if TYPE_CHECKING:
    from crossvalidation import Finished

RESULTS = ROOT / "benchmarks" / "results" / "known_voice.json"
CLIPS = 8  # of 3.7 s: half a minute
UNLABELLED, QUIET = "half a minute, unlabelled", "half a minute, neutral and calm"
LONG = "two minutes, unlabelled"
REFERENCES = {UNLABELLED: CLIPS, QUIET: CLIPS, LONG: 4 * CLIPS}
DRAWS = 5  # of each reference


def main() -> int:
    """Ask with and without references, and write the results file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ravdess", help="folder of RAVDESS")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    try:
        table = corpora.scan(arguments.ravdess)
    except corpora.CorpusError as error:
        parser.error(str(error))
    folds = emobox.train(table, seeds=arguments.seed, jobs=arguments.jobs)
    ravdess = folds[0].ensemble.job.dataset.table
    answers = pd.concat(
        [answer for fold in tqdm(folds, unit="fold") for answer in ask(ravdess, fold)],
        ignore_index=True,
    )
    rows = []
    for reference, clips in REFERENCES.items():
        asked = answers[answers.reference == reference]
        row = {
            "reference": reference,
            "reference_clips": clips,
            "clips": len(asked) // (len(arguments.seed) * DRAWS),
        }
        for how in ("alone", "adapted"):
            row[f"uar_{how}"] = evaluation.uar(asked.emotion, asked[how])
        gains = [
            np.mean(part.adapted == part.emotion) - np.mean(part.alone == part.emotion)
            for _, part in asked.groupby("speaker")
        ]
        row["gain"] = row["uar_adapted"] - row["uar_alone"]
        row["gain_interval"] = gain_interval(asked)
        row["worst_actor_gain"] = float(min(gains))
        row["actors_that_lost"] = int(np.sum(np.array(gains) < 0))
        rows.append(row)
        print(
            f"{reference:31} reference: UAR {row['uar_alone']:.1%} -> {row['uar_adapted']:.1%} "
            "(gain {:.1%} to {:.1%}); ".format(*row["gain_interval"])
            + f"{row['actors_that_lost']} of {len(gains)} actors lost accuracy, "
            f"at most {-row['worst_actor_gain']:.1%}"
        )
    content = {
        "protocol": "speaker",
        "train": evaluation.describe(ravdess),
        "test": "RAVDESS speech",
        "folds": emobox.FOLDS,
        "seeds": arguments.seed,
        "draws": DRAWS,
        "versions": model_folder.versions(),
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def gain_interval(asked: pd.DataFrame) -> list[float]:
    """Return the 95 % interval of the gain of UAR when the actors are drawn anew."""
    alone, adapted = (
        np.stack(
            [
                evaluation.confusion_matrix(part.emotion, part[how], corpora.EMOTIONS)
                for _, part in asked.groupby("speaker")
            ]
        )
        for how in ("alone", "adapted")
    )
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(alone), size=(evaluation.BOOTSTRAP_DRAWS, len(alone)))
    gains = [evaluation.uar_of(matrices[drawn].sum(axis=1)) for matrices in (adapted, alone)]
    return np.percentile(gains[0] - gains[1], [2.5, 97.5]).tolist()


def ask(table: pd.DataFrame, fold: "Finished") -> list[pd.DataFrame]:
    """Return, per test actor and kind of reference, what was said of the actor's other clips."""
    alone = fold.ensemble.classifier()
    alone.manifest["usual"] = fold.ensemble.usual_answers()
    tested = table.loc[fold.result.test]
    tested = tested[tested.channel == "speech"]
    said_alone = {path: alone.classify(path).emotion for path in tested.path}
    answers = []
    for (speaker, clips), draw in itertools.product(tested.groupby("speaker"), range(DRAWS)):
        rng = np.random.default_rng([fold.result.seed, int(speaker[-2:]), draw])
        neutral, calm = (clips.path[clips.emotion == name] for name in ("neutral", "calm"))
        drawn = list(rng.choice(clips.path, REFERENCES[LONG], replace=False))
        pools = {
            UNLABELLED: drawn[:CLIPS],
            LONG: drawn,
            # There are four neutral clips of each actor and eight calm ones; some of both stay to
            # be asked about.
            QUIET: [
                *rng.choice(neutral, len(neutral) - 1, replace=False),
                *rng.choice(calm, CLIPS - len(neutral) + 1, replace=False),
            ],
        }
        for reference in REFERENCES:
            adapted = alone.adapted_to(pools[reference])
            asked = clips[~clips.path.isin(pools[reference])]
            answers.append(
                pd.DataFrame(
                    {
                        "reference": reference,
                        "speaker": speaker,
                        "emotion": asked.emotion,
                        "alone": asked.path.map(said_alone),
                        "adapted": [adapted.classify(path).emotion for path in asked.path],
                    }
                )
            )
    return answers


if __name__ == "__main__":
    sys.exit(main())
