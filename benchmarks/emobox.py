"""The networks of EmoBox's six folds of RAVDESS, which several benchmarks ask."""

from typing import TYPE_CHECKING

import pandas as pd

import corpora
import workers
from train import CACHE

if TYPE_CHECKING:
    from crossvalidation import Finished

FOLDS = 6


def train(table: pd.DataFrame, *, seeds: list[int], jobs: int) -> list["Finished"]:
    """Return the folds of `frames` as `train.py --evaluate speaker` trains and tests them.

    Those that it, or an earlier benchmark, has finished are not trained again.
    """
    workers.import_tensorflow()
    import crossvalidation
    import dataset
    import side_by_side
    import training

    ravdess = dataset.extract(
        table, training.RECIPES, cache=CACHE / "features", seed=seeds[0], jobs=jobs
    )
    epochs = training.EPOCHS["frames"]
    key = training.run_key("frames", ravdess, corpora.EMOTIONS, epochs=epochs)
    run = CACHE / "runs" / key
    run.mkdir(parents=True, exist_ok=True)
    job = side_by_side.Job("frames", ravdess, corpora.EMOTIONS, epochs, run)
    folds = crossvalidation.run(job, "speaker", folds=FOLDS, seeds=seeds, jobs=jobs)
    side_by_side.discard_material(job)
    return folds
