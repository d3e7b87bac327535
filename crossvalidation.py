"""The trainings of a protocol, side by side, each kept as soon as it is finished.

A fold leaves one file with what its network said of the test clips. A fold under way leaves its
state after every epoch (`training.fit`). So a run that was stopped, killed or cut off goes on
where it was. The names of these files hold a digest of the split, so that other folds or
corrected speakers never meet results that are not theirs.
"""

import hashlib
import math
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import protocols
import workers
from dataset import Dataset
from evaluation import FoldResult
from protocols import Split
from training import Trained, clip_inputs, fit, predict


@dataclass(frozen=True)
class Job:
    """What all trainings of one command share.

    Attributes:
        kind: 'frames' or 'vector'.
        dataset: clips and features.
        emotions: in label order.
        epochs: at most.
        folder: for finished folds and the state of unfinished ones.
    """

    kind: str
    dataset: Dataset
    emotions: Sequence[str]
    epochs: int
    folder: Path


@dataclass(frozen=True)
class Finished:
    """What is kept of a fold: its test result, and what its validation clips decided."""

    result: FoldResult
    epochs: int
    temperature: float


def run(job: Job, protocol: str, *, folds: int, seeds: Sequence[int], jobs: int) -> list[Finished]:
    """Train and test every fold of a protocol, once per seed.

    Args:
        job: what to train.
        protocol: 'random', 'speaker' or 'cross-corpus'.
        folds: of the speaker protocol.
        seeds: of splits and trainings.
        jobs: trainings side by side, at most.

    Raises:
        protocols.ProtocolError: the clips do not allow the protocol.
    """
    from tqdm import tqdm

    tasks = {
        f"{protocol}-{seed}-{number}-{_digest(split.train, split.validation, split.test)}": (
            seed,
            split,
        )
        for seed in seeds
        for number, split in enumerate(
            protocols.splits(job.dataset.table, protocol, folds=folds, seed=seed)
        )
    }
    todo = [name for name in tasks if not _result_file(job, name).exists()]
    with tqdm(
        total=len(tasks) * job.epochs,
        initial=sum(_epochs_done(job, name) for name in tasks),
        desc=f"{protocol}: {len(tasks)} trainings",
        unit="epoch",
        disable=not todo,
    ) as bar:
        side_by_side = max(1, min(jobs, len(todo)))
        executor = ProcessPoolExecutor(
            side_by_side,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=workers.start,
            initargs=(max(1, jobs // side_by_side),),
        )
        try:
            pending = {executor.submit(_train_fold, job, name, *tasks[name]) for name in todo}
            while pending:
                finished, pending = wait(pending, timeout=1.0)
                for future in finished:
                    future.result()
                bar.update(max(0, sum(_epochs_done(job, name) for name in tasks) - bar.n))
        except BaseException:
            # Not one more epoch: the last finished one of each training is on the disk.
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
    return [_read_result(job, name, *task) for name, task in tasks.items()]


def train_final(job: Job, speaker_folds: Sequence[Finished], *, seed: int) -> Trained:
    """Train the network that is kept.

    After an evaluation on speaker folds it learns from every clip, for as many epochs as was best
    in the middle fold, with the geometric mean of the folds' temperatures: both were decided by
    validation speakers. Without one, some speakers (or where there is but one, some clips) are set
    aside to decide them.
    """
    from tqdm import tqdm

    rows = np.arange(len(job.dataset.table))
    validation, epochs, temperature = None, job.epochs, 1.0
    if speaker_folds:
        epochs = round(float(np.median([fold.epochs for fold in speaker_folds])))
        logs = [math.log(fold.temperature) for fold in speaker_folds]
        temperature = math.exp(float(np.mean(logs)))
    else:
        by_speaker = job.dataset.table.speaker.nunique() > 1
        rows, validation = protocols.carve_validation(
            job.dataset.table, rows, by_speaker=by_speaker, seed=seed
        )
    name = f"final-{seed}-{epochs}-{_digest(rows, validation)}"
    with tqdm(total=epochs, desc="the model", unit="epoch") as bar:

        def show(epoch: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}")
            bar.update(epoch - bar.n)

        return fit(
            job.kind,
            job.dataset,
            rows,
            validation,
            emotions=job.emotions,
            seed=seed,
            epochs=epochs,
            state=_state_file(job, name),
            temperature=temperature,
            on_epoch=show,
        )


def _train_fold(job: Job, name: str, seed: int, split: Split) -> None:
    def note_epoch(epoch: int, loss: float) -> None:
        _epoch_file(job, name).write_text(str(epoch))

    trained = fit(
        job.kind,
        job.dataset,
        split.train,
        split.validation,
        emotions=job.emotions,
        seed=seed,
        epochs=job.epochs,
        state=_state_file(job, name),
        on_epoch=note_epoch,
    )
    tested = clip_inputs(job.kind, job.dataset, split.test)
    file = _result_file(job, name)
    part = file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        np.savez(
            stream,
            probabilities=predict(trained.joined(), tested),
            epochs=trained.epochs,
            temperature=trained.temperature,
        )
    part.replace(file)
    _state_file(job, name).unlink()
    _epoch_file(job, name).unlink()


def _result_file(job: Job, name: str) -> Path:
    return job.folder / f"{name}.npz"


def _state_file(job: Job, name: str) -> Path:
    return job.folder / f"{name}.state"


def _epoch_file(job: Job, name: str) -> Path:
    """For the progress bar. Windows lets nobody replace a state file that is open for a look."""
    return job.folder / f"{name}.epoch"


def _digest(*parts: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"none" if part is None else np.asarray(part, dtype=np.int64).tobytes())
        digest.update(b"|")
    return digest.hexdigest()[:12]


def _read_result(job: Job, name: str, seed: int, split: Split) -> Finished:
    with np.load(_result_file(job, name)) as stored:
        return Finished(
            FoldResult(split.name, seed, split.test, stored["probabilities"]),
            stored["epochs"].item(),
            stored["temperature"].item(),
        )


def _epochs_done(job: Job, name: str) -> int:
    if _result_file(job, name).exists():
        return job.epochs
    try:
        return int(_epoch_file(job, name).read_text() or 0)
    except FileNotFoundError:
        return 0
