"""The trainings of a protocol, side by side, each kept as soon as it is finished.

A fold is an ensemble of trainings that differ in their seed and in the clips that they set aside.
Each of them leaves one file: its weights, and what it said of these clips; one under way leaves its
state after every epoch (`training.fit`). So a run that was stopped, killed or cut off goes on where
it was. The names of these files hold a digest of the split, so that other folds or corrected
speakers never meet results that are not theirs.
"""

import contextlib
import hashlib
import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

import dataset
import familiarity
import features
import files
import leaning
import protocols
import workers
from classifier import EmotionClassifier
from dataset import Dataset, Packed
from evaluation import FoldResult
from network import N_FEATURES
from progress import UNWATCHED, Progress
from training import (
    MEMBERS,
    TOGETHER,
    USUAL_TEMPERATURE,
    USUAL_VOICES,
    Member,
    assemble,
    clip_inputs,
    fit,
    fit_temperature,
    label_targets,
    logits_of,
    predict,
    traced,
)

if TYPE_CHECKING:
    import keras

PACKED = "frames.npy"  # what the trainings of a folder learn from
#: Of fewer clips that it set aside, or of one emotion, a corpus says nothing about a temperature.
ENOUGH_CLIPS = 30
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
    def cepstral_means(self) -> np.ndarray:
        """What each clip's recording is like, (clips, 40), as the classifier would hear it."""
        rows = np.arange(len(self.dataset.table))
        inputs = clip_inputs(self.kind, self.dataset, rows)
        return np.array([features.cepstral_mean(part.reshape(-1, N_FEATURES)) for part in inputs])


@dataclass(frozen=True)
class Ensemble:
    """The members of an ensemble, and what they say.

    Attributes:
        job: of its trainings.
        train: row numbers of the clips that one of them or more learned from.
        files: of the members.
        temperature: fitted on the clips that they set aside.
        familiar: the recordings of each corpus that it learned from (`familiarity.describe`).
    """

    job: Job
    train: np.ndarray
    files: Sequence[Path]
    temperature: float
    familiar: Sequence[dict[str, Any]]

    def members(self) -> list[Member]:
        """Return the trained members."""
        return [_read_member(file) for file in self.files]

    def network(self) -> "keras.Model":
        """Return the network: raw features in, calibrated probabilities out."""
        return assemble(self.members(), temperature=self.temperature)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return what the network says of clips: (clips, emotions)."""
        from tqdm import tqdm

        inputs = clip_inputs(self.job.kind, self.job.dataset, rows)
        return predict(
            self.network(), tqdm(inputs, total=len(rows), desc="answers", unit="clip", leave=False)
        )

    def usual_answers(self) -> dict[str, list[float]]:
        """Return what the network says of the clips that it learned from: `leaning.usual`."""
        return leaning.usual(
            self.probabilities(self.train), self.job.dataset.table.iloc[self.train]
        )

    def classifier(self) -> EmotionClassifier:
        """Return the network in the program's inference path, to be asked about sounds."""
        manifest = {
            "labels": list(self.job.emotions),
            "network": self.job.kind,
            "pause_db": features.PAUSE_DB,
            "normalisation": self.normalisation(),
            "familiar": self.familiar,
        }
        return EmotionClassifier(manifest, traced(self.network()))

    def normalisation(self) -> dict[str, list[float]]:
        """Return mean and deviation of the 264 features, as a manifest has them."""
        first = _read_member(self.files[0])  # the others are scaled by the same clips
        return {name: getattr(first, name).tolist() for name in ("mean", "std")}


@dataclass(frozen=True)
class Finished:
    """A fold: its test result, and the networks that it was tested with."""

    result: FoldResult
    ensemble: Ensemble


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
    table = job.dataset.table
    asked = []
    for seed in seeds:
        drawn = [
            protocols.splits(table, protocol, folds=folds, seed=seed, member=member)
            for member in range(MEMBERS[job.kind])
        ]
        for splits in zip(*drawn, strict=True):
            untested = np.union1d(splits[0].train, splits[0].validation)
            asked.append((seed, _tasks(job, splits, seed, scaled_by=untested)))
    _work(job, [task for _, tasks in asked for task in tasks], title=protocol, jobs=jobs)
    finished = []
    for seed, tasks in asked:
        name, test = tasks[0].split.name, tasks[0].split.test
        said = [_read(task.file)["validation"] for task in tasks]
        ensemble = _ensemble(job, tasks, _temperature(job, tasks, said))
        strange = familiarity.strangeness(job.cepstral_means[test], ensemble.familiar)
        probabilities = familiarity.doubt(ensemble.probabilities(test), strange)
        result = FoldResult(name, seed, test, probabilities)
        finished.append(Finished(result, ensemble))
    return finished


def train_final(job: Job, speaker_folds: Sequence[Finished], *, seed: int, jobs: int) -> Ensemble:
    """Train the network that is kept.

    After an evaluation on speaker folds it learns from every clip, and has the geometric mean of
    the folds' temperatures, which were fitted on validation speakers. Without one, some speakers
    (or where there is but one, some clips) are set aside by all members to fit it on.
    """
    table = job.dataset.table
    rows = np.arange(len(table))
    validation = nothing = rows[:0]
    if not speaker_folds:
        by_speaker = table.speaker.nunique() > 1
        rows, validation = protocols.carve_validation(table, rows, by_speaker=by_speaker, seed=seed)
    split = protocols.Split("the model", rows, validation, nothing)
    tasks = _tasks(job, [split] * MEMBERS[job.kind], seed, scaled_by=rows)
    _work(job, tasks, title=split.name, jobs=jobs)
    if speaker_folds:
        logs = [math.log(fold.ensemble.temperature) for fold in speaker_folds]
        temperature = math.exp(float(np.mean(logs)))
    else:
        said = [_read(task.file)["validation"] for task in tasks]
        temperature = _temperature(job, tasks, said)
    return _ensemble(job, tasks, temperature)


def discard_material(job: Job) -> None:
    """Remove what the trainings learned from, unless those of another command are at it."""
    with contextlib.suppress(files.BusyError), files.alone(job.folder / ".lock"):
        (job.folder / PACKED).unlink(missing_ok=True)


def _ensemble(job: Job, tasks: Sequence["_Task"], temperature: float) -> Ensemble:
    """Return the ensemble of finished trainings, with what its clips' recordings are like."""
    rows = np.unique(np.concatenate([task.split.train for task in tasks]))
    corpus = job.dataset.table.corpus.to_numpy()[rows]
    means = job.cepstral_means[rows]
    familiar = [familiarity.describe(means[corpus == name]) for name in np.unique(corpus)]
    return Ensemble(job, rows, [task.file for task in tasks], temperature, familiar)


def _temperature(job: Job, tasks: Sequence["_Task"], said: Sequence[np.ndarray]) -> float:
    """Return an ensemble's temperature: the geometric mean of those of each corpus.

    Each is fitted on what the members said of the clips that they set aside, of speech where there
    are any: emotions are clearer in song, and a temperature that suits both promises too much of
    speech, which is what people bring. Where no corpus has enough clips to tell, all together have
    to do. The fewer voices tell, the nearer it stays to what is usual. All that suits members that
    are asked one by one; the ensemble's is lower.
    """
    table = job.dataset.table
    aside = np.concatenate([task.split.validation for task in tasks])
    targets = np.concatenate(
        [label_targets(table, job.emotions, t.split.train)[t.split.validation] for t in tasks]
    )
    answers = np.concatenate(said)
    spoken = (table.channel.iloc[aside] == "speech").to_numpy()
    corpora = [
        rows[spoken[rows]] if spoken[rows].any() else rows
        for rows in table.iloc[aside].groupby("corpus").indices.values()
    ]
    telling = [
        rows
        for rows in corpora
        if len(np.unique(aside[rows])) >= ENOUGH_CLIPS
        and np.count_nonzero(targets[rows[0]] >= 0) > 1
    ]
    logs, usual = [], math.log(USUAL_TEMPERATURE[job.kind])
    for rows in telling or [np.concatenate(corpora)]:
        fitted = math.log(fit_temperature(answers[rows], targets[rows]))
        voices = table.speaker.iloc[aside[rows]].nunique()
        logs.append((voices * fitted + USUAL_VOICES * usual) / (voices + USUAL_VOICES))
    return TOGETHER[job.kind] * math.exp(float(np.mean(logs)))


class _Task(NamedTuple):
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


def _tasks(
    job: Job, splits: Sequence[protocols.Split], seed: int, *, scaled_by: np.ndarray
) -> list[_Task]:
    """Return the trainings of an ensemble, a split for each."""
    return [
        _Task(
            split,
            scaled_by,
            100 * seed + member,
            job.epochs,
            job.folder / f"{_digest(split)}-{seed}-{member}.npz",
        )
        for member, split in enumerate(splits)
    ]


def _digest(split: protocols.Split) -> str:
    digest = hashlib.sha256()
    for part in (split.train, split.validation, split.test):
        digest.update(part.astype(np.int64).tobytes() + b"|")
    return digest.hexdigest()[:12]


def _work(job: Job, tasks: Sequence[_Task], *, title: str, jobs: int) -> None:
    """Run the trainings that are not finished, while no other command trains in this folder."""
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


def _side_by_side(
    job: Job, tasks: Sequence[_Task], todo: Sequence[_Task], *, title: str, jobs: int
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
            pending = {executor.submit(_train, job, packed, task) for task in todo}
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


def _train(job: Job, packed: Path, task: _Task) -> None:
    def note_epoch(epoch: int, loss: float) -> None:
        task.epoch.write_text(str(epoch))
        job.progress.note(training=task.file.stem, epoch=epoch, epochs=task.epochs, loss=loss)

    try:
        with files.named(task.state):
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


def _read(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as stored:
        return dict(stored)


def _read_member(file: Path) -> Member:
    stored = _read(file)
    count = sum(name.startswith("weight_") for name in stored)
    return Member(
        stored["kind"].item(),
        stored["mean"],
        stored["std"],
        [stored[f"weight_{number}"] for number in range(count)],
    )
