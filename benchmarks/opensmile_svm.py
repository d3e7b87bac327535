"""What openSMILE's features and a linear support vector machine reach on our clips and folds.

    python benchmarks/opensmile_svm.py data/ravdess [data/crema-d]

The field's classical baseline: functionals of a whole clip, standardised, and a linear SVM that
sets each emotion against each other one. Two sets of features (opensmile for Python):

eGeMAPSv02     88 functionals (Eyben et al., IEEE Transactions on Affective Computing 2016)
ComParE_2016   6373 functionals (Schuller et al., Interspeech 2016)

Clips and splits are those of `train.py`, random ones of three seeds; the SVM learns from its
training and validation clips together. Mean and deviation of a feature come from training clips
only. The SVM's cost C, and whether rare emotions weigh more, are chosen anew for each split, by
five-fold cross-validation on its training clips, scored by UAR: over their speakers, or at random
where the split is random.

RAVDESS is measured with and without its song, CREMA-D by itself, and each on the other: there the
SVM learns only emotions that both have. `frames` was helped across corpora by half of the tested
one's speakers (docs/experiments.md). So the SVM is asked once more with the same help: its features
stop at as many deviations, and what is chosen is chosen on every other speaker that is tested.

Writes benchmarks/results/opensmile_svm.json. Features and finished folds are kept under
.cache/opensmile: stopped, the same command goes on from there.
"""

import argparse
import hashlib
import json
import logging
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import opensmile
import pandas as pd
from joblib import Memory, Parallel, delayed
from sklearn.model_selection import GroupKFold, ParameterGrid, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import audio  # noqa: E402
import corpora  # noqa: E402
import evaluation  # noqa: E402
import protocols  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "opensmile_svm.json"
CACHE = ROOT / ".cache" / "opensmile"
FEATURE_SETS = ("eGeMAPSv02", "ComParE_2016")
SEEDS = (0, 1, 2)  # of random splits; in the others nothing is drawn
INNER_FOLDS = 5
STOP = 2.0  # deviations, as network.LIMIT, where helped
SETTINGS = ParameterGrid(
    {"C": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0], "class_weight": [None, "balanced"]}
)


def main() -> int:
    """Extract, measure, print, and write the results file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ravdess", help="folder of RAVDESS")
    parser.add_argument("crema_d", nargs="?", help="folder of CREMA-D")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")

    folders = {"RAVDESS": arguments.ravdess, "CREMA-D": arguments.crema_d}
    folders = {corpus: folder for corpus, folder in folders.items() if folder}
    try:
        table = corpora.scan(*folders.values())
        if set(table.corpus) != set(folders):
            found = " and ".join(sorted(set(table.corpus)))
            parser.error(f"found {found}, expected {' and '.join(folders)}; name their folders")
        functionals = extract(table.path, jobs=arguments.jobs)
    except (corpora.CorpusError, audio.AudioError) as error:
        parser.error(str(error))

    ravdess = table.corpus == "RAVDESS"
    questions = [
        (clips, protocol, folds, False)
        for clips in (ravdess, ravdess & (table.channel == "speech"))
        for protocol, folds in (("speaker", 6), ("speaker", 5), ("random", 1))
    ]
    if arguments.crema_d:
        everything = table.corpus.isin(folders)
        questions += [
            (~ravdess, "speaker", 5, False),
            (~ravdess, "random", 1, False),
            (everything, "cross-corpus", 2, False),
            (everything, "cross-corpus", 2, True),
        ]
    records = []
    for clips, protocol, folds, helped in questions:
        asked = table[clips].reset_index(drop=True)
        for name in FEATURE_SETS:
            features = functionals[name][clips]
            for record in measure(asked, features, protocol, folds, helped, jobs=arguments.jobs):
                records.append({"features": name, "helped": helped, **record})
                print(summary(records[-1]), flush=True)
    content = {
        "corpora": evaluation.summarise(table),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("opensmile", "scikit-learn", "numpy")},
        },
        "protocol": {
            "classifier": "linear SVM, one emotion against one, on standardised functionals",
            "chosen_from": list(SETTINGS),
            "chosen_by": f"UAR in {INNER_FOLDS} folds of the training clips: over their speakers, "
            "or at random where the split is random; where helped, on every other tested speaker",
            "stopped_where_helped": STOP,
        },
        "records": records,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def extract(paths: Sequence[str], *, jobs: int) -> dict[str, np.ndarray]:
    """Return, per feature set, the functionals of all clips: (clips, functionals) float32."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with Parallel(n_jobs=jobs, return_as="generator") as parallel:
        clips = parallel(delayed(_functionals)(path) for path in paths)
        rows = list(tqdm(clips, "openSMILE", len(paths), unit="clip"))
    return {name: np.stack([row[name] for row in rows]) for name in FEATURE_SETS}


def _functionals(path: str) -> dict[str, np.ndarray]:
    sound = Path(path).read_bytes()
    key = hashlib.blake2b(sound, digest_size=16, key=opensmile.__version__.encode()).hexdigest()
    file = CACHE / f"{key}.npz"
    if not file.exists():
        waveform = audio.load(path)
        functionals = {
            name: opensmile.Smile(opensmile.FeatureSet[name])
            .process_signal(waveform, audio.SAMPLE_RATE)
            .to_numpy()[0]
            for name in FEATURE_SETS
        }
        # Whole or not at all: a killed process leaves no half file under the clip's name.
        part = file.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as stream:
            np.savez(stream, **functionals)
        part.replace(file)
    with np.load(file) as arrays:
        return dict(arrays)


def measure(
    table: pd.DataFrame,
    features: np.ndarray,
    protocol: str,
    folds: int,
    helped: bool,
    *,
    jobs: int,
) -> list[dict]:
    """Train and test an SVM on every split of a protocol, `helped` by tested speakers or not.

    Returns:
        Records of `evaluation.records`, less what a classifier without probabilities has none of,
        and with the settings chosen in each fold.
    """
    asked = [
        (split, seed)
        for seed in (SEEDS if protocol == "random" else SEEDS[:1])
        for split in protocols.splits(table, protocol, folds=folds, seed=seed)
    ]
    # Kept for these very lines and this scikit-learn: another SVM answers anew.
    recipe = hashlib.blake2b(
        Path(__file__).read_bytes(), digest_size=8, key=version("scikit-learn").encode()
    )
    answer = Memory(CACHE / recipe.hexdigest(), verbose=0).cache(_answer)
    with Parallel(n_jobs=jobs, return_as="generator") as parallel:
        answers = parallel(
            delayed(answer)(table, features, protocol, split, seed, helped) for split, seed in asked
        )
        answers = list(tqdm(answers, protocol, len(asked), unit="fold", leave=False))
    results, chosen = zip(*answers, strict=True)
    records = evaluation.records(table, protocol, corpora.EMOTIONS, results)
    for record in records:
        for meaningless in ("ece", "reliability", "accuracy_of_surest"):
            del record[meaningless]
        tested = {entry["fold"] for entry in record["uar_per_fold"]}
        record["chosen"] = [settings for settings in chosen if settings["fold"] in tested]
    return records


def _answer(
    table: pd.DataFrame,
    features: np.ndarray,
    protocol: str,
    split: protocols.Split,
    seed: int,
    helped: bool,
) -> tuple[evaluation.FoldResult, dict]:
    emotions = table.emotion.to_numpy(dtype=str)
    speakers = table.speaker.to_numpy(dtype=str)
    train = np.union1d(split.train, split.validation)
    # Across corpora: what the tested one lacks is out of the question, as in `evaluation.records`.
    train = train[np.isin(emotions[train], emotions[split.test])]
    stop = np.inf
    if helped:
        stop = STOP
        others = np.unique(speakers[split.test])[::2]
        chosen_on = [(train, split.test[np.isin(speakers[split.test], others)])]
    elif protocol == "random":
        inner = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed)
        chosen_on = [(train[a], train[b]) for a, b in inner.split(train, emotions[train])]
    else:
        inner = GroupKFold(INNER_FOLDS).split(train, emotions[train], speakers[train])
        chosen_on = [(train[a], train[b]) for a, b in inner]
    scores = np.zeros(len(SETTINGS))
    for learned, held_out in chosen_on:
        said = _train_and_ask(features, emotions, learned, held_out, stop, SETTINGS)
        scores += [evaluation.uar(emotions[held_out], predictions) for predictions in said]
    settings = SETTINGS[scores.argmax()]
    [predictions] = _train_and_ask(features, emotions, train, split.test, stop, [settings])
    certain = (predictions[:, np.newaxis] == np.array(corpora.EMOTIONS)).astype(float)
    result = evaluation.FoldResult(split.name, seed, split.test, certain)
    return result, {"fold": split.name, "seed": seed, **settings}


def _train_and_ask(
    features: np.ndarray,
    emotions: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    stop: float,
    settings: Iterable[dict],
) -> list[np.ndarray]:
    """Return what an SVM of each of some settings says of the test rows.

    Its features stop at some deviations from their mean over the training.
    """
    scaler = StandardScaler().fit(features[train])
    known, asked = (
        np.clip(scaler.transform(features[rows]), -stop, stop) for rows in (train, test)
    )
    # SVC(kernel="linear") would compute these products again for each setting, and more slowly.
    products, products_asked = known @ known.T, asked @ known.T
    return [
        SVC(kernel="precomputed", **setting).fit(products, emotions[train]).predict(products_asked)
        for setting in settings
    ]


def summary(record: dict) -> str:
    """Return a record as a line."""
    low, high = record["uar_interval"]
    help_ = ", helped" if record["helped"] else ""
    return (
        f"UAR {record['uar']:.1%} ({low:.1%} to {high:.1%})  accuracy {record['accuracy']:.1%}  "
        f"{record['features']}, {record['protocol']}{help_}, folds {record['folds']}: "
        f"{record['train']} -> {record['test']}"
    )


if __name__ == "__main__":
    sys.exit(main())
