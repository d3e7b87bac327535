"""One network trained on some clips of a dataset.

A training writes its state after every epoch. Started again with the same arguments it goes on
where it was stopped, with the same result as if it had never stopped. `side_by_side` runs several.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops

import files
import model_folder
import network
from augment import Babble, ColouredNoise, Microphone, Reverb, Speed, Telephone
from dataset import Dataset, Packed, Recipe, Sometimes
from distort import amplify, mask
from features import PAUSE_DB, decibel, linear, vector_of_sound
from leaning import QUIET
from network import N_FEATURES

#: Modules that decide what a finished training is: another version of them trains anew.
DECIDING = (
    "dataset",
    "distort",
    "features",
    "leaning",
    "network",
    "pitch",
    "side_by_side",
    "training",
)

# ---------------------------------------------------------------------------------------------
# The recipes of the two networks, chosen on validation clips: docs/experiments.md.

_COPY: Recipe = (
    Sometimes(0.8, Speed(0.85, 1.18)),  # other voices: pitch, formants and tempo move together
    Sometimes(0.25, Reverb()),
    Sometimes(0.4, ColouredNoise(5.0, 35.0)),
    Sometimes(0.15, Babble(5.0, 30.0)),
    Sometimes(0.1, Microphone()),
    Sometimes(0.15, Telephone()),
)
RECIPES: tuple[Recipe, ...] = ((), *[_COPY] * 8)
EPOCHS = {"frames": 60, "vector": 40}
MEMBERS = {"frames": 2, "vector": 3}  # of the ensemble
# What suits a member as a rule, which has as much say as so many voices that it set aside: these
# differ by more than trainings do.
USUAL_TEMPERATURE = {"frames": 1.15, "vector": 1.02}
USUAL_VOICES = 10
# Their temperature as a multiple of that of one: together they are right more often, but beside
# what `functionals` adds they need not be as sure.
TOGETHER = {"frames": 1.17, "vector": 0.97}

BATCH = 32
LEARNING_RATE = {"frames": 3e-3, "vector": 1e-3}  # peak of a cosine schedule
WARMUP_EPOCHS = 2
WEIGHT_DECAY = 0.2  # decoupled (Loshchilov & Hutter, ICLR 2019)
EMA_MOMENTUM = 0.998
LABEL_SMOOTHING = 0.05
CROP_FRAMES = 96  # 2.2 s: longer clips are cut at random, shorter ones padded
MIXUP = 0.3  # both parameters of mixup's beta distribution (Zhang et al., ICLR 2018)
MIXUP_SHARE = 0.25  # of the batches
# Other microphones and rooms: what all clips of a speaker have in common is taken off some clips.
CENTRED_SHARE = 0.5  # of the clips of `frames`
CENTRE_CLIPS = 8  # of the speaker, whose mean is taken
QUIET_SHARE = 0.5  # of the means: of neutral and calm speech alone
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A trained member of an ensemble, in plain arrays.

    Attributes:
        kind: 'frames' or 'vector'.
        mean, std: (264,) of the training clips, in decibel.
        weights: of the body, in Keras' order.
    """

    kind: str
    mean: np.ndarray
    std: np.ndarray
    weights: list[np.ndarray]

    def frontend(self) -> keras.Model:
        """Return the half of the network that was not trained."""
        return _FRONTENDS[self.kind](self.mean, self.std)

    def body(self) -> keras.Model:
        """Return the half of the network that was trained, as it is saved.

        Its batch normalisations are folded into the convolutions, and what it multiplies with has
        the precision of a half: the LiteRT twin then needs half as many bytes and loses nothing.
        """
        n_emotions = self.weights[-1].size
        if self.kind == "frames":
            body, weights = network.frames_body(n_emotions, folded=True), network.fold(self.weights)
        else:
            body, weights = network.vector_body(n_emotions), self.weights
        body.set_weights(
            [w.astype(np.float16).astype(np.float32) if w.ndim > 1 else w for w in weights]
        )
        return body


_FRONTENDS = {"frames": network.frames_frontend, "vector": network.vector_frontend}
_BODIES = {"frames": network.frames_body, "vector": network.vector_body}


def run_key(kind: str, dataset: Dataset, emotions: Sequence[str], *, epochs: int) -> str:
    """Return a name for all that a result depends on but the split and the seed."""
    digest = hashlib.sha256()
    for name in DECIDING:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    copies = [[file.name for file in copy] for copy in dataset.copies]
    said = dataset.table[["emotion", "speaker", "corpus", "channel"]].to_numpy().tolist()
    labels, packages = list(emotions), model_folder.versions()
    decided = [kind, epochs, PAUSE_DB, said, copies, labels, packages]
    digest.update(json.dumps(decided).encode())
    return digest.hexdigest()[:16]


def fit(
    kind: str,
    table: pd.DataFrame,
    packed: Packed,
    train: np.ndarray,
    *,
    scaled_by: np.ndarray,
    emotions: Sequence[str],
    seed: int,
    epochs: int,
    state: Path,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Member:
    """Train one member.

    Args:
        kind: 'frames' or 'vector'.
        table: the clips, as in `Dataset.table`.
        packed: their frames in all copies of `RECIPES`.
        train: row numbers of the clips to learn, in all their copies.
        scaled_by: row numbers of the clips whose mean and deviation standardise the features,
            `train` among them: the same for all members of an ensemble.
        emotions: in label order.
        seed: of weights, batches and everything else drawn.
        epochs: passes over as many clips as there are.
        state: file for the state after each epoch; whoever has stored the result removes it.
        on_epoch: called after each epoch with its number and the mean training loss.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    targets = label_targets(table, emotions, train)
    material = _Material(kind, table, packed, train, scaled_by)
    body = _BODIES[kind](len(emotions))
    steps = max(1, len(train) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE[kind] / 20,
        epochs * steps,
        alpha=0.01,
        warmup_target=LEARNING_RATE[kind],
        warmup_steps=WARMUP_EPOCHS * steps,
    )
    body.compile(
        keras.optimizers.AdamW(
            schedule,
            weight_decay=WEIGHT_DECAY,
            clipnorm=1.0,
            use_ema=True,
            ema_momentum=EMA_MOMENTUM,
            ema_overwrite_frequency=None,
        ),
        cross_entropy,
    )
    _learn(body, lambda epoch: material.batches(targets, [seed, epoch]), epochs, state, on_epoch)
    return Member(kind, material.mean, material.std, body.get_weights())


def label_targets(table: pd.DataFrame, emotions: Sequence[str], train: np.ndarray) -> np.ndarray:
    """Return what a network should say of each clip: (clips, emotions), 1 for its emotion, else 0.

    An emotion that a clip's corpus does not know among the training clips is -1: nobody was asked
    for it there, so the clip says nothing about it. Calm alone is an exception: where there is
    neutral speech, calm speech would have gone by that name.
    """
    number = {emotion: i for i, emotion in enumerate(emotions)}
    targets = np.zeros((len(table), len(emotions)), np.float32)
    for rows in table.groupby("corpus").indices.values():
        known = set(table.emotion.iloc[np.intersect1d(rows, train)])
        if "neutral" in known:
            known.add("calm")
        unknown = [i for i, emotion in enumerate(emotions) if known and emotion not in known]
        targets[np.ix_(rows, unknown)] = -1
    targets[np.arange(len(table)), table.emotion.map(number)] = 1
    return targets


def cross_entropy(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Return the cross-entropy of each clip over the emotions that its corpus knows (not -1).

    With label smoothing (Szegedy et al., CVPR 2016), over the same emotions.
    """
    known = ops.cast(targets >= 0, "float32")
    share = LABEL_SMOOTHING / ops.sum(known, axis=-1, keepdims=True)
    wanted = known * ((1 - LABEL_SMOOTHING) * targets + share)
    return -ops.sum(wanted * ops.log_softmax(logits - 1e4 * (1 - known)), axis=-1)


def clip_inputs(kind: str, dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield clips as they were recorded, as the classifier hands them to a network.

    (1, frames, 264) each for `frames`, (1, 264, 1) for `vector`.

    Clips are whole here however long they are; the classifier cuts what is over ten seconds.
    """
    frames = dataset.frames(0)
    for row in rows:
        if kind == "vector":
            yield vector_of_sound(frames[row])[np.newaxis, :, np.newaxis]
        else:
            yield frames[row][np.newaxis]


def emotion_means(averages: np.ndarray, table: pd.DataFrame, emotions: Sequence[str]) -> np.ndarray:
    """Return what the clips of each emotion are like: (emotions, 264), the mean over its clips.

    Of an emotion its speech counts, where there is any.

    Args:
        averages: (clips, 264) of `side_by_side.Job`.
        table: the clips.
        emotions: in label order.
    """
    of_emotions = []
    for emotion in emotions:
        mine = (table.emotion == emotion).to_numpy()
        spoken = mine & (table.channel == "speech").to_numpy()
        of_emotions.append(averages[spoken if spoken.any() else mine].mean(axis=0))
    return np.array(of_emotions)


def logits_of(member: Member, inputs: Iterable[np.ndarray]) -> np.ndarray:
    """Return the logits of inputs that may differ in length: (clips, emotions)."""
    frontend = member.frontend()
    return predict(keras.Model(frontend.input, member.body()(frontend.output)), inputs)


def predict(network: keras.Model, inputs: Iterable[np.ndarray]) -> np.ndarray:
    """Return what a network says of inputs that may differ in length: (clips, emotions)."""
    run = traced(network)
    return np.concatenate([run(part) for part in inputs])


def traced(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return a network traced once for inputs of all lengths, not asked layer by layer."""
    shape = tf.TensorSpec(network.input_shape, tf.float32)
    run = tf.function(lambda shown: network(shown, training=False), input_signature=[shape])
    return lambda shown: run(shown).numpy()


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature that makes logits most likely on held-out clips (Guo et al., 2017).

    Args:
        logits: (clips, emotions).
        targets: (clips, emotions) of `label_targets`.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    known = np.where(targets < 0, -np.inf, logits)

    def negative_log_likelihood(log_temperature: float) -> float:
        likelihoods = log_softmax(known / math.exp(log_temperature), axis=1)
        return -float(np.mean(likelihoods[targets == 1]))

    bounds = (math.log(0.05), math.log(20.0))
    return math.exp(minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded").x)


def _learn(
    body: keras.Model,
    batches: Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]],
    epochs: int,
    state: Path,
    on_epoch: Callable[[int, float], None] | None,
) -> None:
    """Train the body in place, going on from `state` if it exists.

    Weights, optimizer and random seeds are all in the state.
    """
    body.optimizer.build(body.trainable_variables)
    variables = [*body.variables, *body.optimizer.variables]
    epoch = 0
    if state.exists():
        stored = files.arrays(state)
        epoch = stored["epoch"].item()
        for number, variable in enumerate(variables):
            variable.assign(stored[f"variable_{number}"])
    while epoch < epochs:
        losses = [body.train_on_batch(inputs, targets) for inputs, targets in batches(epoch)]
        epoch += 1
        # A kill while writing leaves the state of the epoch before.
        with files.whole(state) as part, part.open("wb") as file:
            arrays = {f"variable_{n}": variable.numpy() for n, variable in enumerate(variables)}
            np.savez(file, epoch=epoch, **arrays)
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)))
    body.optimizer.finalize_variable_values(body.trainable_variables)


class _Material:
    """What a training learns from: clips, their statistics, and batches of them.

    Attributes:
        mean, std: (264,) of the clips that it is scaled by, in decibel.
        quiet: (264,) mean of the calm and neutral speech that is learned, or `mean` where there is
            none.
    """

    def __init__(
        self,
        kind: str,
        table: pd.DataFrame,
        packed: Packed,
        train: np.ndarray,
        scaled_by: np.ndarray,
    ) -> None:
        self._kind = kind
        self._packed = packed
        self._train = train
        self._voice = table.speaker.to_numpy()
        self._corpus = table.corpus.to_numpy()
        squares = np.zeros(N_FEATURES)
        self._sums = np.zeros((len(table), N_FEATURES))
        self._lengths = np.zeros(len(table))
        for row in scaled_by:
            frames = packed.clip(0, row).astype(np.float64)
            self._sums[row] = frames.sum(axis=0)
            squares += np.square(frames).sum(axis=0)
            self._lengths[row] = len(frames)
        mean = self._sums.sum(axis=0) / self._lengths.sum()
        variance = squares / self._lengths.sum() - np.square(mean)
        self.mean = mean.astype(np.float32)
        # A feature that never changed is left at its distance from the mean, not blown up.
        self.std = np.sqrt(np.where(variance < 1e-12, 1.0, variance)).astype(np.float32)
        if kind == "vector":
            self._average(scaled_by)
        is_quiet = (table.emotion.isin(QUIET) & (table.channel == "speech")).to_numpy()
        self._clips_of = {}
        for voice in np.unique(self._voice[train]):
            rows = train[self._voice[train] == voice]
            self._clips_of[voice] = (rows, rows[is_quiet[rows]])
        self.quiet = self._mean_of_emotions(train[is_quiet[train]], table.emotion.to_numpy())

    def batches(
        self, targets: np.ndarray, seed: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches of an epoch: (clips, ...) standardised inputs, (clips, emotions)."""
        rng = np.random.default_rng(seed)
        corpus = self._corpus
        names = np.unique(corpus[self._train])
        order = _draw_rows([self._train[corpus[self._train] == name] for name in names], rng)
        size = min(BATCH, len(order))
        # What does not fill the last batch waits for another epoch.
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            inputs = np.stack([self._draw(row, rng) for row in rows])
            labels = targets[rows]
            if rng.random() < MIXUP_SHARE:
                share = np.float32(rng.beta(MIXUP, MIXUP))
                partner = _partners(corpus[rows], rng)
                inputs = share * inputs + (1 - share) * inputs[partner]
                labels = share * labels + (1 - share) * labels[partner]
            yield inputs, labels

    def _draw(self, row: int, rng: np.random.Generator) -> np.ndarray:
        copy = int(rng.integers(len(self._packed.starts)))
        if self._kind == "vector":
            vector = self._vectors[copy, self._place[row]]
            return self._standardise(vector)[:, np.newaxis]
        clip = self._packed.clip(copy, row)
        start = rng.integers(max(1, len(clip) - CROP_FRAMES + 1))
        crop = amplify(clip[start : start + CROP_FRAMES], rng)
        if rng.random() < CENTRED_SHARE:
            crop -= self._draw_centre(self._voice[row], rng)
        heard = self._packed.contour(copy, row)[start : start + CROP_FRAMES]
        crop = np.concatenate([self._standardise(crop), heard], axis=1)
        mask(crop, rng)
        padded = np.zeros((CROP_FRAMES, crop.shape[1]), np.float32)
        start = rng.integers(CROP_FRAMES - len(crop) + 1)
        padded[start : start + len(crop)] = crop
        return padded

    def _standardise(self, frames: np.ndarray) -> np.ndarray:
        """Return (..., 264) as the network's frontend would, but for `network.ASKED_LIMIT`."""
        return np.clip((frames - self.mean) / self.std, -network.LIMIT, network.LIMIT)

    def _mean_of_emotions(self, rows: np.ndarray, emotion: np.ndarray) -> np.ndarray:
        """Return the mean of clips, in which each of their emotions counts the same: (264,)."""
        if not len(rows):
            return self.mean
        means = pd.DataFrame(self._sums[rows] / self._lengths[rows, np.newaxis])
        return means.groupby(emotion[rows]).mean().to_numpy(np.float32).mean(axis=0)

    def _draw_centre(self, voice: str, rng: np.random.Generator) -> np.ndarray:
        """Return how a speaker's clips differ from what is usual: (264,) decibel.

        On average over some of them, quiet ones compared with quiet speech or any with all.
        """
        rows, quiet = self._clips_of[voice]
        usual = self.mean
        if len(quiet) and rng.random() < QUIET_SHARE:
            rows, usual = quiet, self.quiet
        heard = rng.choice(rows, CENTRE_CLIPS)
        mean = self._sums[heard].sum(axis=0) / self._lengths[heard].sum()
        return (mean - usual).astype(np.float32)

    def _average(self, rows: np.ndarray) -> None:
        """Take the mean of each clip in each copy, and make mean and spread those of clips.

        The mean of a delta over a clip is next to zero, and its spread from clip to clip is chance:
        no feature is blown up by more than ten times over its spread from frame to frame.
        """
        packed = self._packed
        self._place = {row: place for place, row in enumerate(rows)}
        self._vectors = np.array(
            [
                [
                    decibel(vector_of_sound(linear(packed.clip(copy, row)))[np.newaxis])[0]
                    for row in rows
                ]
                for copy in range(len(packed.starts))
            ]
        )
        self.mean = self._vectors[0].mean(axis=0)
        self.std = np.maximum(self._vectors[0].std(axis=0), self.std / 10)
        self._sums[rows] = self._vectors[0]
        self._lengths[rows] = 1


def _draw_rows(parts: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return the clips of an epoch, as many as there are, mixed from several corpora.

    A corpus has a share in proportion to the square root of its clips: a large one is heard in
    part, a small one several times.
    """
    weights = np.sqrt([len(part) for part in parts])
    quotas = np.round(weights / weights.sum() * sum(map(len, parts))).astype(int)
    drawn = [
        np.concatenate([rng.permutation(part) for _ in range(math.ceil(quota / len(part)))])[:quota]
        for part, quota in zip(parts, quotas, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))


def _partners(corpus: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each clip of a batch another one of its corpus, which knows the same emotions."""
    partner = np.arange(len(corpus))
    for name in np.unique(corpus):
        rows = np.flatnonzero(corpus == name)
        partner[rows] = rng.permutation(rows)
    return partner
