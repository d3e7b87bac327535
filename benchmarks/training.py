"""How a training keeps the cores busy: clips per second while features are extracted, an epoch.

    python benchmarks/training.py DATA

DATA holds RAVDESS. `CLIPS` of its speech are extracted by all cores, each as it is and in the
augmented copies of `training.RECIPES`; then as many trainings as there are cores learn from them
side by side, a round for each member of an ensemble, as `train.py` does it. What counts as busy is
what their processes and this one spend on the cores, starting, compiling, validating, writing and
what is fitted beside the networks among it. Beside it stands what the parts take in one thread.

Linux only. Writes benchmarks/results/training.json.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks import speed  # noqa: E402  before NumPy: it settles the number of threads

import joblib  # noqa: E402  isort: skip
import numpy as np  # noqa: E402
import psutil  # noqa: E402

import audio  # noqa: E402
import features  # noqa: E402
import progress  # noqa: E402
import workers  # noqa: E402
from benchmarks.folder import write  # noqa: E402
from benchmarks.growth import core_seconds  # noqa: E402

CLIPS = 480
EPOCHS = 6  # the first one of each training compiles, and is left out
IN_ONE_THREAD = 96  # clips


def main() -> int:
    """Measure, write the results file and print the table."""
    table = speed.speech_asked_for(__doc__, least=CLIPS)
    table = table.sample(CLIPS, random_state=0).sort_values("path")
    workers.import_tensorflow()
    rows = extraction_parts(table.path.iloc[:: CLIPS // IN_ONE_THREAD])
    with tempfile.TemporaryDirectory() as folder:
        rows = [*extract_and_train(table, Path(folder)), *rows]
    write("training", rows=rows)
    for row in rows:
        print(f"{row['what']:66}{row['value']:8.3g} {row['unit']}")
    return 0


def extract_and_train(table: Any, folder: Path) -> list[dict[str, Any]]:
    """Extract the features of clips, then train on them, with all cores."""
    import crossvalidation
    import dataset
    import protocols
    import side_by_side
    import training

    cores = joblib.cpu_count()

    def extract(some: Any) -> dataset.Dataset:
        return dataset.extract(some, training.RECIPES, cache=folder, seed=0, jobs=cores, quiet=True)

    extract(table.iloc[:cores])  # starts the processes
    start, spent = time.perf_counter(), children_seconds()
    extracted = extract(table)
    seconds, extracting = time.perf_counter() - start, children_seconds() - spent
    clips = len(training.RECIPES) * len(table)
    rows = [
        row("clips extracted per second, augmented copies among them", clips / seconds, "clips"),
        row("share of the cores that is busy with it", 100 * extracting / seconds / cores, "%"),
    ]

    notes = progress.Progress(folder / "progress")
    emotions = sorted(set(table.emotion))
    job = side_by_side.Job("frames", extracted, emotions, EPOCHS, folder, notes)
    start, spent = time.perf_counter(), core_seconds() + time.process_time()
    crossvalidation.run(job, "random", folds=0, seeds=range(cores), jobs=cores)
    seconds = time.perf_counter() - start
    training_ = core_seconds() + time.process_time() - spent
    epoch = epoch_seconds(progress.read(folder / "progress"))

    (split,) = protocols.splits(extracted.table, "random", folds=0, seed=0)
    targets = training.label_targets(extracted.table, emotions, split.train)
    packed = dataset.Packed.open(folder / side_by_side.PACKED)
    material = training._Material("frames", extracted.table, packed, split.train, split.train)
    drawn = speed.compare([lambda _: list(material.batches(targets, [0, 0]))], [None])
    return [
        *rows,
        row(f"an epoch over {len(split.train)} clips, a training per core", epoch, "s"),
        row("of it in one thread: drawing, amplifying and masking clips", drawn[0] / 1000, "s"),
        row("share of the cores that trainings keep busy", 100 * training_ / seconds / cores, "%"),
    ]


def epoch_seconds(notes: Iterable[dict[str, Any]]) -> float:
    """Return how long an epoch takes that is not the first of its training, on average."""
    times: dict[str, list[float]] = {}
    for note in notes:
        if "epoch" in note:
            times.setdefault(note["training"], []).append(note["time"])
    return float(np.mean([(ends[-1] - ends[0]) / (len(ends) - 1) for ends in times.values()]))


def extraction_parts(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return what the parts of the extraction of an augmented clip take in one thread."""
    import training

    spent = dict[str, float]()
    rng = np.random.default_rng(0)

    def augment(waveform: np.ndarray) -> np.ndarray:
        for probability, transform in training.RECIPES[1]:
            if rng.random() < probability:
                waveform = transform(waveform, rng)
        return waveform

    load: Callable[[str], np.ndarray] = speed.timed(spent, "decoding", audio.load)
    change = speed.timed(spent, "the transforms of a copy", augment)
    extract = speed.timed(spent, "features", features.extract_frames)
    paths = list(paths)
    for _ in range(2):  # the first round imports and makes tables
        spent.clear()
        for path in paths:
            extract(change(load(path)))
    return [
        row(f"of a clip in one thread: {name}", 1000 * seconds / len(paths), "ms")
        for name, seconds in spent.items()
    ]


def children_seconds() -> float:
    """Return what the processes that this one started, and that are alive, spent on cores."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


def row(what: str, value: float, unit: str) -> dict[str, Any]:
    """Return a row of the table."""
    return {"what": what, "value": float(value), "unit": unit}


if __name__ == "__main__":
    sys.exit(main())
