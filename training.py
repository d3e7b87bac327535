"""One network trained on some clips of a dataset, watched on others.

A training writes its state after every epoch. Started again with the same arguments it goes on
where it was stopped, with the same result as if it had never stopped.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import network
from augment import BandLimit, NoiseAtSNR, Pitch, Shift, Speed, WhiteNoise
from dataset import Dataset, Recipe, Sometimes
from evaluation import uar
from features import FEATURE_GROUPS, MEL, N_MELS, RMS
from network import N_FEATURES

# ---------------------------------------------------------------------------------------------
# The recipes of the two networks. Nothing below is chosen on test clips.

_COPY: Recipe = (
    Sometimes(0.8, Speed(0.86, 1.16)),  # other voices: pitch, formants and tempo move together
    Sometimes(0.25, Pitch(-2.0, 2.0)),
    Sometimes(0.5, NoiseAtSNR(8.0, 30.0)),
    Sometimes(0.1, BandLimit()),  # the telephone
)
RECIPES: dict[str, tuple[Recipe, ...]] = {
    "frames": ((), _COPY, _COPY, _COPY, _COPY),
    "vector": ((), (Sometimes(1.0, WhiteNoise()),), (Sometimes(1.0, Shift()),)),  # the original's
}
EPOCHS = {"frames": 40, "vector": 100}

# vector: as in the original, but that early stopping watches the UAR of validation clips.
VECTOR_BATCH = 64
VECTOR_LEARNING_RATE = 1e-3
VECTOR_PATIENCE = 10

# frames
BATCH = 32
LEARNING_RATE = 2e-3  # peak of a cosine schedule
WARMUP_EPOCHS = 2
WEIGHT_DECAY = 1e-4
EMA_MOMENTUM = 0.998
LABEL_SMOOTHING = 0.1
CROP_FRAMES = 128  # 3 s: longer clips are cut at random, shorter ones padded
GAIN_DB = 6.0
MIXUP = 0.3  # both parameters of mixup's beta distribution (Zhang et al., ICLR 2018)
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A trained network and what its validation clips said.

    Attributes:
        frontend, body: the two halves of the network (`network.join`).
        temperature: fitted on the validation clips.
        epochs: after which validation was best (`vector`), or all that were run (`frames`).
    """

    frontend: keras.Model
    body: keras.Model
    temperature: float
    epochs: int

    def joined(self) -> keras.Model:
        """Return the network that is saved: raw features in, calibrated probabilities out."""
        # The same layers without the compiled body's optimizer, which would be saved with them.
        body = keras.Model(self.body.input, self.body.output, name="body")
        return network.join(self.frontend, body, temperature=self.temperature)


def run_key(kind: str, dataset: Dataset, *, epochs: int) -> str:
    """Return a name for all that a result depends on but the split and the seed."""
    sources = [Path(__file__).with_name(f"{name}.py") for name in ("network", "training")]
    digest = hashlib.sha256()
    for file in sources:
        digest.update(file.read_bytes())
    copies = [[file.name for file in copy] for copy in dataset.copies]
    digest.update(json.dumps([kind, epochs, list(dataset.table.emotion), copies]).encode())
    return digest.hexdigest()[:16]


def fit(
    kind: str,
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray | None,
    *,
    emotions: Sequence[str],
    seed: int,
    epochs: int,
    state: Path,
    temperature: float = 1.0,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train a network.

    Args:
        kind: 'frames' or 'vector'.
        dataset: with the recipes of `RECIPES[kind]`.
        train: row numbers of the clips to learn, in all their copies.
        validation: row numbers of the clips to watch, never augmented. None: train for exactly
            `epochs`, and take the `temperature` as given.
        emotions: in label order.
        seed: of weights, batches and everything else drawn.
        epochs: at most.
        state: file for the state after each epoch; whoever has stored the result removes it.
        on_epoch: called after each epoch with its number and the mean training loss.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    number = {emotion: i for i, emotion in enumerate(emotions)}
    targets = np.eye(len(emotions), dtype=np.float32)[dataset.table.emotion.map(number)]
    prepare = _prepare_frames if kind == "frames" else _prepare_vector
    frontend, body, batches = prepare(dataset, train, targets, seed, epochs)

    held_out = [] if validation is None else list(clip_inputs(kind, dataset, validation))

    def logits() -> np.ndarray:
        return predict(lambda part: body(frontend(part), training=False), held_out)

    def watch() -> float:
        return 1 - uar(targets[validation].argmax(axis=1), logits().argmax(axis=1))

    stops_early = kind == "vector" and validation is not None
    best = _learn(body, batches, epochs, state, watch if stops_early else None, on_epoch)
    if validation is not None:
        temperature = fit_temperature(logits(), targets[validation])
    return Trained(frontend, body, temperature, best)


def clip_inputs(kind: str, dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield clips as they were recorded, as the classifier hands them to a network.

    Clips are whole here however long they are; the classifier cuts what is over ten seconds.
    """
    if kind == "vector":
        vectors = dataset.vectors(0)[rows, :, np.newaxis]
        yield from np.array_split(vectors, math.ceil(len(vectors) / 256))
    else:
        frames = dataset.frames(0)
        for row in rows:
            yield frames[row][np.newaxis]


def predict(network: Callable[[np.ndarray], Any], inputs: Iterable[np.ndarray]) -> np.ndarray:
    """Return what a network says of inputs that may differ in length: (clips, emotions)."""
    return np.concatenate([np.asarray(network(part)) for part in inputs])


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature that makes logits most likely on held-out clips (Guo et al., 2017).

    Args:
        logits: (clips, emotions).
        targets: (clips, emotions), one 1 per row.
    """
    from scipy.optimize import minimize_scalar

    def cross_entropy(log_temperature: float) -> float:
        return _cross_entropy(logits, targets, temperature=math.exp(log_temperature))

    bounds = (math.log(0.05), math.log(20.0))
    return math.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x)


def _cross_entropy(logits: np.ndarray, targets: np.ndarray, *, temperature: float) -> float:
    """Return the mean cross-entropy of logits over a temperature."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    likelihoods = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return -float(np.mean(np.sum(likelihoods * targets, axis=1)))


Batches = Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]  # epoch → inputs, targets
Prepared = tuple[keras.Model, keras.Model, Batches]  # frontend, compiled body, its food


def _learn(
    body: keras.Model,
    batches: Batches,
    epochs: int,
    state: Path,
    watch: Callable[[], float] | None,
    on_epoch: Callable[[int, float], None] | None,
) -> int:
    """Train the body in place, going on from `state` if it exists; return the number of epochs.

    With `watch` the epoch with the lowest value wins, and training stops `VECTOR_PATIENCE` epochs
    after it. Weights, optimizer, random seeds and the best epoch so far are all in the state.
    """
    body.optimizer.build(body.trainable_variables)
    variables = [*body.variables, *body.optimizer.variables]
    epoch, best_epoch, best_value, best_weights = 0, 0, math.inf, body.get_weights()
    if state.exists():
        with np.load(state) as stored:
            epoch, best_epoch, best_value = (stored[name].item() for name in _PROGRESS)
            for i, variable in enumerate(variables):
                variable.assign(stored[f"variable_{i}"])
            best_weights = [stored[f"best_{i}"] for i in range(len(best_weights))]
    while epoch < epochs and (watch is None or epoch - best_epoch < VECTOR_PATIENCE):
        losses = [body.train_on_batch(inputs, targets) for inputs, targets in batches(epoch)]
        epoch += 1
        if watch is not None and (value := watch()) < best_value:
            best_epoch, best_value, best_weights = epoch, value, body.get_weights()
        # Whole or not at all: a kill while writing leaves the state of the epoch before.
        part = state.with_suffix(".part")
        with part.open("wb") as file:
            arrays = {
                **dict(zip(_PROGRESS, (epoch, best_epoch, best_value), strict=True)),
                **{f"variable_{i}": variable.numpy() for i, variable in enumerate(variables)},
                **{f"best_{i}": weight for i, weight in enumerate(best_weights)},
            }
            np.savez(file, **arrays)
        part.replace(state)
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)))
    if watch is not None:
        body.set_weights(best_weights)
        return best_epoch
    if body.optimizer.use_ema:
        body.optimizer.finalize_variable_values(body.trainable_variables)
    return epochs


_PROGRESS = ("epoch", "best_epoch", "best_value")


def _prepare_vector(
    dataset: Dataset, train: np.ndarray, targets: np.ndarray, seed: int, epochs: int
) -> Prepared:
    vectors = np.concatenate([dataset.vectors(copy)[train] for copy in range(len(dataset.copies))])
    frontend = network.vector_frontend(vectors.mean(axis=0), frame_std(dataset, train))
    inputs = frontend.predict(vectors[:, :, np.newaxis], verbose=0)
    labels = np.tile(targets[train], (len(dataset.copies), 1))
    body = network.vector_body(targets.shape[1])
    body.compile(
        keras.optimizers.Adam(VECTOR_LEARNING_RATE),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )

    def batches(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows in _shuffled(len(inputs), VECTOR_BATCH, np.random.default_rng([seed, epoch])):
            yield inputs[rows], labels[rows]

    return frontend, body, batches


def frame_std(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each feature over the frames of some clips: (264,)."""
    clips = dataset.frames(0)
    return np.concatenate([clips[row] for row in rows]).std(axis=0, dtype=np.float64)


def _prepare_frames(
    dataset: Dataset, train: np.ndarray, targets: np.ndarray, seed: int, epochs: int
) -> Prepared:
    compress = network.frames_frontend(np.zeros(N_FEATURES), np.ones(N_FEATURES))

    def compressed(copy: int) -> list[np.ndarray]:
        clips = dataset.frames(copy)
        clips = [clips[row] for row in train]
        frames = np.concatenate(clips)
        parts = np.array_split(frames, math.ceil(len(frames) / 2**14))
        frames = np.concatenate([np.asarray(compress(part[np.newaxis]))[0] for part in parts])
        return np.split(frames, np.cumsum([len(clip) for clip in clips])[:-1])

    originals = compressed(0)
    everything = np.concatenate(originals)
    mean, std = everything.mean(axis=0), np.maximum(everything.std(axis=0), 1e-6)

    def standardised(clips: list[np.ndarray]) -> list[np.ndarray]:
        # 16 bits halve the memory, and are thousandths of a standard deviation.
        return [((clip - mean) / std).astype(np.float16) for clip in clips]

    copies = [standardised(originals)]
    copies += [standardised(compressed(copy)) for copy in range(1, len(dataset.copies))]
    louder = np.zeros(N_FEATURES, np.float32)  # what one decibel more changes
    louder[0] = math.sqrt(N_MELS)  # the first MFCC is the orthonormal sum of the mel decibels
    louder[MEL] = 1.0
    louder[RMS] = 1.0
    louder /= std

    body = network.frames_body(targets.shape[1])
    steps = max(1, len(train) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20,
        epochs * steps,
        alpha=0.01,
        warmup_target=LEARNING_RATE,
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
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING),
    )

    def batches(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([seed, epoch])
        for rows in _shuffled(len(train), BATCH, rng):
            clips = [copies[rng.integers(len(copies))][row] for row in rows]
            inputs = np.stack([_distorted(clip, louder, rng) for clip in clips])
            labels = targets[train[rows]]
            if rng.random() < 0.5:
                share = np.float32(rng.beta(MIXUP, MIXUP))
                partner = rng.permutation(len(rows))
                inputs = share * inputs + (1 - share) * inputs[partner]
                labels = share * labels + (1 - share) * labels[partner]
            yield inputs, labels

    return network.frames_frontend(mean, std), body, batches


def _shuffled(clips: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the batches of an epoch; what does not fill the last one waits for another epoch."""
    order = rng.permutation(clips)
    size = min(size, clips)
    for start in range(0, clips - size + 1, size):
        yield order[start : start + size]


def _distorted(clip: np.ndarray, louder: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random crop, louder or softer and with masked stretches: (CROP_FRAMES, 264).

    The masks are those of SpecAugment (Park et al., Interspeech 2019), over time, over mel bands
    and over whole groups of features; a masked number becomes 0, the mean.
    """
    start = rng.integers(max(1, len(clip) - CROP_FRAMES + 1))
    crop = clip[start : start + CROP_FRAMES] + louder * np.float32(rng.uniform(-GAIN_DB, GAIN_DB))
    if rng.random() < 0.5:
        width = int(rng.integers(4, 24))
        band = MEL.start + int(rng.integers(N_MELS - width))
        crop[:, band : band + width] = 0
    if rng.random() < 0.3:
        crop[:, FEATURE_GROUPS[rng.integers(len(FEATURE_GROUPS))]] = 0
    if rng.random() < 0.5:
        width = int(rng.integers(4, 16))
        moment = int(rng.integers(max(1, len(crop) - width)))
        crop[moment : moment + width] = 0
    padded = np.zeros((CROP_FRAMES, N_FEATURES), np.float32)
    start = rng.integers(CROP_FRAMES - len(crop) + 1)
    padded[start : start + len(crop)] = crop
    return padded
