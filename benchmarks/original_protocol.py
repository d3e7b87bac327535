"""What is left of the original's 87 % when its leak is closed.

    python benchmarks/original_protocol.py data/ravdess

Three measurements of one network on one corpus, RAVDESS speech and song:

leaky    the original's recipe: every clip also as a noisy and a shifted copy, then a random 80/20
         split of all copies (a test clip's copies are in the training set), early stopping on the
         test clips, and their best epoch reported;
closed   the same, but clips are split first, only training clips are copied, early stopping
         watches validation clips, and each test clip is asked once, as it was recorded;
unheard  as closed, but the test actors are in neither training nor validation (EmoBox folds).

The latter two are what `train.py --network vector --evaluate random speaker` measures, and finished
folds of that are not trained again.

Writes benchmarks/results/original_protocol.json, from which the README's table is made.
"""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import workers  # noqa: E402

workers.import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402

import corpora  # noqa: E402
import crossvalidation  # noqa: E402
import dataset  # noqa: E402
import evaluation  # noqa: E402
import network  # noqa: E402
import training  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "original_protocol.json"
FOLDS = 6


def main() -> int:
    """Run the three measurements and write the results file."""
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
    if set(table.corpus) != {"RAVDESS"}:
        parser.error(f"{arguments.ravdess} holds other corpora than RAVDESS; name its folder")
    cache = ROOT / ".cache"
    ravdess = dataset.extract(
        table,
        training.RECIPES["vector"],
        cache=cache / "features",
        seed=0,
        jobs=arguments.jobs,
    )
    epochs = training.EPOCHS["vector"]
    run = cache / "runs" / training.run_key("vector", ravdess, epochs=epochs)
    run.mkdir(parents=True, exist_ok=True)
    job = crossvalidation.Job("vector", ravdess, corpora.EMOTIONS, epochs, run)

    rows = [leaky(ravdess, arguments.seed)]
    for protocol, words in (
        ("random", "leak closed: split first, then augment; validation apart from test"),
        ("speaker", "unheard actors: EmoBox's six folds"),
    ):
        folds = crossvalidation.run(
            job, protocol, folds=FOLDS, seeds=arguments.seed, jobs=arguments.jobs
        )
        results = [fold.result for fold in folds]
        both, speech = evaluation.records(ravdess.table, protocol, corpora.EMOTIONS, results)
        rows.append({"words": words, "accuracy": both["accuracy"], "speech": speech["accuracy"]})
    for row in rows:
        print(f"{row['accuracy']:.1%}  speech {row['speech']:.1%}  {row['words']}")
    content = {
        "corpus": evaluation.summarise(ravdess.table),
        "seeds": arguments.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", "librosa", "scikit-learn")},
        },
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def leaky(ravdess: dataset.Dataset, seeds: list[int]) -> dict:
    """Return what the original's recipe measures, its mistakes included."""
    copies = len(ravdess.copies)
    vectors = np.concatenate([ravdess.vectors(copy) for copy in range(copies)])
    labels = np.tile(ravdess.table.emotion.map(corpora.EMOTIONS.index), copies)
    is_speech = np.tile(ravdess.table.channel == "speech", copies)
    targets = np.eye(len(corpora.EMOTIONS))[labels]
    std = training.frame_std(ravdess, np.arange(len(ravdess.table)))
    accuracies, accuracies_of_speech = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        train, test = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=seed
        )
        frontend = network.vector_frontend(vectors[train].mean(axis=0), std)
        inputs = frontend.predict(vectors[..., np.newaxis], verbose=0)
        body = network.vector_body(len(corpora.EMOTIONS))
        body.compile(
            keras.optimizers.Adam(training.VECTOR_LEARNING_RATE),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        body.fit(
            inputs[train],
            targets[train],
            batch_size=training.VECTOR_BATCH,
            epochs=training.EPOCHS["vector"],
            validation_data=(inputs[test], targets[test]),
            callbacks=[
                keras.callbacks.EarlyStopping(
                    "val_accuracy", patience=training.VECTOR_PATIENCE, restore_best_weights=True
                )
            ],
            verbose=2,
        )
        right = body.predict(inputs[test], verbose=0).argmax(axis=1) == labels[test]
        accuracies.append(right.mean())
        accuracies_of_speech.append(right[is_speech[test]].mean())
    return {
        "words": "as published: copies of test clips in training, early stopping on test",
        "accuracy": float(np.mean(accuracies)),
        "speech": float(np.mean(accuracies_of_speech)),
    }


if __name__ == "__main__":
    sys.exit(main())
