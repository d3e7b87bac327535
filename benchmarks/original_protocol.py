"""What is left of the original's 87 % when its leak is closed.

    python benchmarks/original_protocol.py data/ravdess

Three measurements of one network on one corpus, RAVDESS speech and song:

leaky    the original's recipe: every clip also as a noisy and a shifted copy, then a random 80/20
         split of all copies (a test clip's copies are in the training set), early stopping on the
         test clips, and their best epoch reported;
closed   the same, but clips are split first, only training clips are copied, early stopping
         watches validation clips, and each test clip is asked once, as it was recorded;
unheard  as closed, but the test actors are in neither training nor validation (EmoBox folds).

The network is `network.vector_body`, the original's layer by layer. Features are scaled by their
spread over frames (of all clips where test copies are learned anyway, otherwise of those that are
learned), because the mean of a delta over a clip is next to zero, and its own spread is chance.
Finished trainings are kept in .cache, so that an interrupted run goes on.

Writes benchmarks/results/original_protocol.json, from which the README's table is made.
"""

import argparse
import hashlib
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
import dataset  # noqa: E402
import evaluation  # noqa: E402
import network  # noqa: E402
import protocols  # noqa: E402
from augment import Shift, WhiteNoise  # noqa: E402
from dataset import Sometimes  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "original_protocol.json"
CACHE = ROOT / ".cache"
FOLDS = 6
COPIES = ((), (Sometimes(1.0, WhiteNoise()),), (Sometimes(1.0, Shift()),))
BATCH = 64
EPOCHS = 100
PATIENCE = 10
WORDS = {
    "leaky": "as published: copies of test clips in training, early stopping on test",
    "closed": "leak closed: split first, then augment; validation apart from test",
    "unheard": "unheard actors: EmoBox's six folds",
}


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
    ravdess = dataset.extract(table, COPIES, cache=CACHE / "features", seed=0, jobs=arguments.jobs)
    # All copies one after the other: clip i is rows i, clips + i and 2 * clips + i.
    vectors = np.concatenate([ravdess.vectors(copy) for copy in range(len(COPIES))])
    frames = ravdess.frames(0)
    clips = len(ravdess.table)
    labels = np.tile(ravdess.table.emotion.map(corpora.EMOTIONS.index), len(COPIES))
    speech = np.tile(ravdess.table.channel == "speech", len(COPIES))

    rows = []
    for name, words in WORDS.items():
        right, of_speech = [], []
        for seed in arguments.seed:
            for number, (train, watched, test) in enumerate(splits(name, ravdess, labels, seed)):
                print(f"{name}, seed {seed}, training {number + 1}", flush=True)
                known = range(clips) if name == "leaky" else train[train < clips]
                heard = np.concatenate([frames[clip] for clip in known])
                scaled = (vectors / heard.std(axis=0, dtype=np.float64)).astype(np.float32)
                said = ask(scaled, labels, train, watched, test, seed)
                right.append(said == labels[test])
                of_speech.append(speech[test])
        right, of_speech = np.concatenate(right), np.concatenate(of_speech)
        rows.append(
            {
                "words": words,
                "accuracy": float(right.mean()),
                "speech": float(right[of_speech].mean()),
                "tested": len(right) // len(arguments.seed),
            }
        )
        print(f"{rows[-1]['accuracy']:.1%}  speech {rows[-1]['speech']:.1%}  {words}")
    content = {
        "corpus": evaluation.summarise(ravdess.table),
        "clips": clips,
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


def splits(
    name: str, ravdess: dataset.Dataset, labels: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the rows of each training: to learn, to watch for early stopping, to be tested on."""
    if name == "leaky":
        train, test = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=seed
        )
        return [(train, test, test)]
    protocol = "random" if name == "closed" else "speaker"
    clips = len(ravdess.table)
    copies = clips * np.arange(len(COPIES))[:, np.newaxis]
    return [
        ((split.train + copies).ravel(), split.validation, split.test)
        for split in protocols.splits(ravdess.table, protocol, folds=FOLDS, seed=seed)
    ]


def ask(
    vectors: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    watched: np.ndarray,
    test: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Train with early stopping on `watched`; return what the network says of `test`."""
    key = hashlib.sha256(Path(__file__).read_bytes() + Path(network.__file__).read_bytes())
    for array in (vectors, labels, train, watched, test):
        key.update(np.ascontiguousarray(array).tobytes())
    kept = CACHE / "original" / f"{key.hexdigest()[:16]}-{seed}.npy"
    if kept.exists():
        return np.load(kept)
    keras.utils.set_random_seed(seed)
    inputs = (vectors - vectors[train].mean(axis=0))[..., np.newaxis]
    targets = np.eye(len(corpora.EMOTIONS))[labels]
    body = network.vector_body(len(corpora.EMOTIONS))
    body.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    stop = keras.callbacks.EarlyStopping(
        "val_accuracy", patience=PATIENCE, restore_best_weights=True
    )
    body.fit(
        inputs[train],
        targets[train],
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=(inputs[watched], targets[watched]),
        callbacks=[stop],
        verbose=2,
    )
    said = body.predict(inputs[test], verbose=0).argmax(axis=1)
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, said)
    return said


if __name__ == "__main__":
    sys.exit(main())
