"""What it is worth to know a voice: unheard actors with and without a reference of their speech.

    python benchmarks/known_voice.py data/ravdess

The networks of the EmoBox folds (`train.py --evaluate speaker`; finished ones are not trained
again) are asked about their own test actors three times: as they are, adapted to the actor by half
a minute of random clips whose labels nobody needs, and by half a minute of neutral and calm clips.
Clips of a reference are not asked about, with or without it. All figures are of speech, eight
emotions.

Writes benchmarks/results/known_voice.json.
"""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import workers  # noqa: E402

workers.import_tensorflow()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from tqdm import tqdm  # noqa: E402

import corpora  # noqa: E402
import crossvalidation  # noqa: E402
import dataset  # noqa: E402
import evaluation  # noqa: E402
import model_folder  # noqa: E402
import training  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "known_voice.json"
CACHE = ROOT / ".cache"
FOLDS = 6
REFERENCES = ("unlabelled", "neutral")
CLIPS = 8  # of 3.7 s: half a minute


def main() -> int:
    """Ask with and without references, and write the results file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ravdess", help="folder of RAVDESS")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    table = corpora.scan(arguments.ravdess)
    ravdess = dataset.extract(
        table,
        training.RECIPES,
        cache=CACHE / "features",
        seed=arguments.seed[0],
        jobs=arguments.jobs,
    )
    epochs = training.EPOCHS["frames"]
    run = CACHE / "runs" / training.run_key("frames", ravdess, epochs=epochs)
    run.mkdir(parents=True, exist_ok=True)
    job = crossvalidation.Job("frames", ravdess, corpora.EMOTIONS, epochs, run)
    folds = crossvalidation.run(
        job, "speaker", folds=FOLDS, seeds=arguments.seed, jobs=arguments.jobs
    )
    answers = pd.concat(
        [answer for fold in tqdm(folds, unit="fold") for answer in ask(fold, ravdess.table)],
        ignore_index=True,
    )
    rows = []
    for reference in REFERENCES:
        asked = answers[answers.reference == reference]
        row = {"reference": reference, "clips": len(asked) // len(arguments.seed)}
        for how in ("alone", "adapted"):
            row[f"uar_{how}"] = evaluation.uar(asked.emotion, asked[how])
        gains = [
            np.mean(part.adapted == part.emotion) - np.mean(part.alone == part.emotion)
            for _, part in asked.groupby("speaker")
        ]
        row["gain"] = row["uar_adapted"] - row["uar_alone"]
        row["worst_actor_gain"] = float(min(gains))
        row["actors_that_lost"] = int(np.sum(np.array(gains) < 0))
        rows.append(row)
        print(
            f"{reference:11} reference: UAR {row['uar_alone']:.1%} -> {row['uar_adapted']:.1%}; "
            f"{row['actors_that_lost']} of {len(gains)} actors lost accuracy, "
            f"at most {-row['worst_actor_gain']:.1%}"
        )
    content = {
        "protocol": "speaker",
        "train": evaluation.describe(ravdess.table),
        "test": "RAVDESS speech",
        "folds": FOLDS,
        "seeds": arguments.seed,
        "reference_clips": CLIPS,
        "versions": model_folder.versions(),
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def ask(fold: crossvalidation.Finished, table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return, per test actor and kind of reference, what was said of the actor's other clips."""
    alone = fold.ensemble.classifier(corpora.EMOTIONS)
    tested = table.loc[fold.result.test]
    tested = tested[tested.channel == "speech"]
    said_alone = {path: alone.classify(path).emotion for path in tested.path}
    answers = []
    for speaker, clips in tested.groupby("speaker"):
        rng = np.random.default_rng([fold.result.seed, int(speaker[-2:])])
        neutral, calm = (clips.path[clips.emotion == name] for name in ("neutral", "calm"))
        pools = {
            "unlabelled": list(rng.choice(clips.path, CLIPS, replace=False)),
            # There are four neutral clips of each actor and eight calm ones; some of both stay to
            # be asked about.
            "neutral": [
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
