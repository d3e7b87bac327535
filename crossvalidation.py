"""The folds of a protocol: ensembles of trainings, and what they say of clips they never heard.

The members of an ensemble differ in their seed and in the clips that they set aside.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import averages
import familiarity
import features
import functionals
import leaning
import network
import protocols
import side_by_side
from classifier import EmotionClassifier
from evaluation import FoldResult
from side_by_side import Job, Task
from training import (
    MEMBERS,
    TOGETHER,
    USUAL_TEMPERATURE,
    USUAL_VOICES,
    Member,
    clip_inputs,
    fit_temperature,
    label_targets,
    predict,
    traced,
)

if TYPE_CHECKING:
    import keras

#: So many clips a voice must have, on average, for its whole say about a temperature.
VOICE_CLIPS = 30


@dataclass(frozen=True)
class Ensemble:
    """The members of an ensemble, and what they say.

    Attributes:
        job: of its trainings.
        train: row numbers of the clips that one of them or more learned from.
        tasks: the finished trainings.
        temperature: fitted on the clips that they set aside.
        familiar: the recordings of each corpus that it learned from (`familiarity.describe`).
        averages: what is heard of strange recordings beside it (`averages.fit`); empty for
            `vector`, which hears averages alone.
        machine: what whole clips are compared with, a part of the network; not for `vector`.
    """

    job: Job
    train: np.ndarray
    tasks: Sequence[Task]
    temperature: float
    familiar: Sequence[dict[str, Any]]
    averages: dict[str, Any]
    machine: functionals.Machine | None

    def members(self) -> list[Member]:
        """Return the trained members."""
        return [task.member() for task in self.tasks]

    def network(self) -> "keras.Model":
        """Return the network: raw features in, calibrated probabilities out."""
        members = self.members()
        return network.join(
            members[0].frontend(),
            [member.body() for member in members],
            temperature=self.temperature,
            beside=None if self.machine is None else self.machine.network(),
        )

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return what the network says of clips: (clips, emotions)."""
        from tqdm import tqdm

        inputs = clip_inputs(self.job.kind, self.job.dataset, rows)
        return predict(
            self.network(), tqdm(inputs, total=len(rows), desc="answers", unit="clip", leave=False)
        )

    def believed(self, rows: np.ndarray) -> np.ndarray:
        """Return what the program says of clips, strange ones or not: (clips, emotions)."""
        means = self.job.averages[rows]
        strange = familiarity.strangeness(features.cepstral_mean(means), self.familiar)
        said = averages.logits(means, self.averages) if self.averages else 0.0
        return familiarity.doubt(self.probabilities(rows), strange, said)

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
            "averages": self.averages,
        }
        return EmotionClassifier(manifest, traced(self.network()))

    def normalisation(self) -> dict[str, list[float]]:
        """Return mean and deviation of the 264 features, as a manifest has them."""
        first = self.tasks[0].member()  # the others are scaled by the same clips
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
        MemoryError, BrokenProcessPool, OSError: as `side_by_side.finish`.
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
            asked.append((seed, side_by_side.tasks(job, splits, seed, scaled_by=untested)))
    every = [task for _, tasks in asked for task in tasks]
    side_by_side.finish(job, every, title=protocol, jobs=jobs)
    finished = []
    for seed, tasks in asked:
        name, test = tasks[0].split.name, tasks[0].split.test
        ensemble = _ensemble(job, tasks, _temperature(job, tasks))
        result = FoldResult(name, seed, test, ensemble.believed(test))
        finished.append(Finished(result, ensemble))
    return finished


def train_final(job: Job, speaker_folds: Sequence[Finished], *, seed: int, jobs: int) -> Ensemble:
    """Train the network that is kept.

    After an evaluation on speaker folds it learns from every clip, and has the geometric mean of
    the folds' temperatures, which were fitted on validation speakers. Without one, some speakers
    (or where there is but one, some clips) are set aside by all members to fit it on.

    Raises:
        protocols.ProtocolError: too few clips to set some aside.
        MemoryError, BrokenProcessPool, OSError: as `side_by_side.finish`.
    """
    table = job.dataset.table
    rows = np.arange(len(table))
    validation = nothing = rows[:0]
    if not speaker_folds:
        rows, validation = protocols.carve_final(table, seed=seed)
    split = protocols.Split("the model", rows, validation, nothing)
    tasks = side_by_side.tasks(job, [split] * MEMBERS[job.kind], seed, scaled_by=rows)
    side_by_side.finish(job, tasks, title=split.name, jobs=jobs)
    if speaker_folds:
        logs = [math.log(fold.ensemble.temperature) for fold in speaker_folds]
        temperature = math.exp(float(np.mean(logs)))
    else:
        temperature = _temperature(job, tasks)
    return _ensemble(job, tasks, temperature)


def _ensemble(job: Job, tasks: Sequence[Task], temperature: float) -> Ensemble:
    """Return the ensemble of finished trainings, with what its clips' recordings tell."""
    rows = np.unique(np.concatenate([task.split.train for task in tasks]))
    corpus = job.dataset.table.corpus.to_numpy()[rows]
    means = job.averages[rows]
    cepstral = features.cepstral_mean(means)
    familiar = [familiarity.describe(cepstral[corpus == name]) for name in np.unique(corpus)]
    linear: dict[str, Any] = {}
    machine = None
    if job.kind == "frames":
        targets = label_targets(job.dataset.table, job.emotions, rows)[rows]
        linear = averages.fit(means, targets, corpus)
        machine = functionals.fit(job.functionals[rows], targets, corpus)
    return Ensemble(job, rows, tasks, temperature, familiar, linear, machine)


def _temperature(job: Job, tasks: Sequence[Task]) -> float:
    """Return an ensemble's temperature, by what its members said of the clips that they set aside.

    Of each corpus its speech counts, where there is any: emotions are clearer in song, and a
    temperature that suits both promises too much of speech, which is what people bring. The fewer
    voices tell, the nearer it stays to what is usual. All that suits members that are asked one by
    one; `TOGETHER` makes the ensemble's of it.
    """
    aside = job.dataset.table.iloc[np.concatenate([task.split.validation for task in tasks])]
    targets = np.concatenate(
        [
            label_targets(job.dataset.table, job.emotions, task.split.train)[task.split.validation]
            for task in tasks
        ]
    )
    answers = np.concatenate([task.answers() for task in tasks])
    spoken = aside.channel == "speech"
    counts = spoken | ~spoken.groupby(aside.corpus).transform("any")
    # Where a corpus has one emotion, any temperature is right.
    counts &= np.count_nonzero(targets >= 0, axis=1) > 1
    log, counts = math.log(USUAL_TEMPERATURE[job.kind]), counts.to_numpy()
    if counts.any():
        fitted = math.log(fit_temperature(answers[counts], targets[counts]))
        say = min(aside.speaker[counts].nunique(), np.count_nonzero(counts) / VOICE_CLIPS)
        log = (say * fitted + USUAL_VOICES * log) / (say + USUAL_VOICES)
    return TOGETHER[job.kind] * math.exp(log)
