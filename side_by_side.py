"""Trainings side by side, each kept as soon as it is finished.

Each of them leaves one file: its weights, and what it said of the clips that it set aside; one
under way leaves its state after every epoch (`training.fit`). So a run that was stopped, killed or
cut off goes on where it was. The names of these files hold a digest of the split, so that other
folds or corrected speakers never meet results that are not theirs.
"""

import contextlib
import hashlib
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import dataset
import features
import files
import functionals
import protocols
import workers
from dataset import Dataset, Packed
from network import N_FEATURES
from progress import UNWATCHED, Progress
from training import Member, clip_inputs, fit, logits_of, predict

PACKED = "frames.npy"  # what the trainings of a folder learn from
WAITING = "Another command trains on these clips; this one goes on when that is done."


@dataclass(frozen=True)
class Job:
    """What all trainings of one command share.

    Attributes:
        kind: 'frames' or 'vector'.
        dataset: clips and features.
        emotions: in label order.
        epochs: of each training.
        folder: for finished trainings and the state of unfinished ones.
        progress: for a program that watches.
    """

    kind: str
    dataset: Dataset
    emotions: Sequence[str]
    epochs: int
    folder: Path
    progress: Progress = UNWATCHED

    @cached_property
    def averages(self) -> np.ndarray:
        """Of each clip the means over what a network is shown of it: (clips, 264)."""
        rows = np.arange(len(self.dataset.table))
        inputs = clip_inputs(self.kind, self.dataset, rows)
        return np.array([features.averages(part.reshape(-1, N_FEATURES)) for part in inputs])

    @cached_property
    def functionals(self) -> np.ndarray:
        """Of each clip of `frames` how its numbers are distributed: (clips, 810)."""
        from tqdm import tqdm

        rows = np.arange(len(self.dataset.table))
        inputs = clip_inputs(self.kind, self.dataset, rows)
        return predict(
            functionals.measuring(),
            tqdm(inputs, total=len(rows), desc="functionals", unit="clip", leave=False),
        )


class Task(NamedTuple):
    """One training: the clips it learns, sets aside and is tested on, and the file it leaves.

    Attributes:
        scaled_by: row numbers of the clips that standardise the features, of all members the same.
    """

    split: protocols.Split
    scaled_by: np.ndarray
    seed: int
    epochs: int
    file: Path

    @property
    def state(self) -> Path:
        return self.file.with_suffix(".state")

    @property
    def epoch(self) -> Path:
        """For the progress bar. Windows lets nobody replace a state file open for a look."""
        return self.file.with_suffix(".epoch")

    def epochs_done(self) -> int:
        if self.file.exists():
            return self.epochs
        try:
            return int(self.epoch.read_text() or 0)
        except FileNotFoundError:
            return 0

    def forget_state(self) -> None:
        """Remove what a training that is finished needs no more."""
        self.state.unlink(missing_ok=True)
        self.epoch.unlink(missing_ok=True)

    def member(self) -> Member:
        """Return what a finished training made."""
        stored = files.arrays(self.file)
        count = sum(name.startswith("weight_") for name in stored)
        return Member(
            stored["kind"].item(),
            stored["mean"],
            stored["std"],
            [stored[f"weight_{number}"] for number in range(count)],
        )

    def answers(self) -> np.ndarray:
        """Return its logits of the clips that it set aside: (clips, emotions)."""
        return files.arrays(self.file, "validation")["validation"]


def tasks(
    job: Job, splits: Sequence[protocols.Split], seed: int, *, scaled_by: np.ndarray
) -> list[Task]:
    """Return the trainings of an ensemble, a split for each."""
    return [
        Task(
            split,
            scaled_by,
            100 * seed + member,
            job.epochs,
            job.folder / f"{_digest(split, scaled_by)}-{seed}-{member}.npz",
        )
        for member, split in enumerate(splits)
    ]


def finish(job: Job, tasks: Sequence[Task], *, title: str, jobs: int) -> None:
    """Run the trainings that are not finished, while no other command trains in this folder.

    Raises:
        MemoryError: a training found too little.
        BrokenProcessPool: the process of a training died.
        OSError: what they learn from, or made, cannot be written.
    """
    if all(task.file.exists() and not task.state.exists() for task in tasks):
        return
    with files.alone(job.folder / ".lock", wait=WAITING):
        files.sweep(job.folder)
        todo = []
        for task in tasks:
            if task.file.exists():
                task.forget_state()  # a kill may have come between the two
            else:
                todo.append(task)
        if todo:
            _side_by_side(job, tasks, todo, title=title, jobs=jobs)


def discard_material(job: Job) -> None:
    """Remove what the trainings learned from, unless those of another command are at it."""
    with contextlib.suppress(files.BusyError), files.alone(job.folder / ".lock"):
        dataset.discard(job.folder / PACKED)


def _digest(split: protocols.Split, scaled_by: np.ndarray) -> str:
    digest = hashlib.sha256()
    for part in (split.train, split.validation, split.test, scaled_by):
        digest.update(part.astype(np.int64).tobytes() + b"|")
    return digest.hexdigest()[:12]


def _side_by_side(
    job: Job, tasks: Sequence[Task], todo: Sequence[Task], *, title: str, jobs: int
) -> None:
    from tqdm import tqdm

    packed = job.folder / PACKED
    job.progress.note(step="training material", done=0, total=1)
    dataset.pack(job.dataset, packed)
    with tqdm(
        total=sum(task.epochs for task in tasks),
        initial=sum(task.epochs_done() for task in tasks),
        desc=f"{title}: {len(tasks)} trainings",
        unit="epoch",
    ) as bar:
        job.progress.note(step=title, done=bar.n, total=bar.total)
        # As many threads each as if nothing were done: with others, sums are rounded otherwise.
        threads = max(1, jobs // len(tasks))
        executor = ProcessPoolExecutor(
            min(jobs, len(todo)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=workers.start,
            initargs=(threads,),
        )
        try:
            bare = replace(job)  # without what was measured of all clips
            pending = {executor.submit(_train, bare, packed, task) for task in todo}
            while pending:
                finished, pending = wait(pending, timeout=1.0)
                for future in finished:
                    future.result()
                done = sum(task.epochs_done() for task in tasks)
                if done > bar.n:
                    bar.update(done - bar.n)
                    job.progress.note(step=title, done=bar.n, total=bar.total)
        except BaseException:
            # Not one more epoch: the last finished one of each training is on the disk.
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


def _train(job: Job, packed: Path, task: Task) -> None:
    def note_epoch(epoch: int, loss: float) -> None:
        with files.named(task.epoch):
            task.epoch.write_text(str(epoch))
        job.progress.note(training=task.file.stem, epoch=epoch, epochs=task.epochs, loss=loss)

    try:
        member = fit(
            job.kind,
            job.dataset.table,
            Packed.open(packed),
            task.split.train,
            scaled_by=task.scaled_by,
            emotions=job.emotions,
            seed=task.seed,
            epochs=task.epochs,
            state=task.state,
            on_epoch=note_epoch,
        )
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(error.message) from None
    said = {}
    if len(aside := task.split.validation):
        said["validation"] = logits_of(member, clip_inputs(job.kind, job.dataset, aside))
    weights = {f"weight_{number}": weight for number, weight in enumerate(member.weights)}
    with files.whole(task.file) as part, part.open("wb") as stream:
        arrays: dict[str, Any] = {
            "kind": member.kind,
            "mean": member.mean,
            "std": member.std,
            **said,
            **weights,
        }
        np.savez(stream, allow_pickle=False, **arrays)
    task.forget_state()
