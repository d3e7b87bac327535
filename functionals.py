"""What a whole clip is like, compared with clips of the training: a kernel machine.

Networks hear how a clip goes on. This is told how its frames are distributed: functionals, as
openSMILE computes them (Eyben, Wöllmer & Schuller, ACM Multimedia 2010). Regularised least squares
with a Gaussian kernel (Rifkin, Yeo & Poggio, 2003; the least-squares SVM of Suykens & Vandewalle,
1999) learn in seconds what they mean. By itself it knows less than a network, of new voices most,
but errs otherwise: together they are right more often (docs/experiments.md). Far from all that was
learned the kernel vanishes, so that little is said there.

Everything that is asked is built-in Keras layers and operations, and a part of the saved network.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

import pitch
from averages import corpus_shares
from features import LOUDER, MEL, RMS
from network import N_FEATURES, decibel

#: Functionals stop at so many standard deviations.
LIMIT = 2.0

#: Principal components of the functionals that are compared: with more it knows hardly more.
COMPONENTS = 160

#: Clips of the training that a clip is compared with, at most.
LANDMARKS = 3000

#: How heavy the machine is beside the mean of the networks' logits over their temperature.
SAY = 3.0

# Of the kernel, where two clips are √2 apart on average.
_GAMMA = 1.5
# By how much weak components are raised: 0 leaves them as they are, 1 makes them as strong as all.
_WHITENING = 0.25
_RIDGE = 0.1  # of the squared norm, against the sum of squared errors
_MIN_STD = 1e-6  # under which a functional never changes, and is left as it is
_LEAST = 1e-6  # variance of a component, against that of the strongest
_BLOCK = 4096  # clips that are compared with all landmarks at a time, in 200 MB
_JITTER = 1e-3  # on the diagonal of a system with entries of up to thousands
_MIN_LEVEL_STD = 1e-3  # decibel, of a clip that is as loud throughout


class Machine(NamedTuple):
    """A fitted kernel machine; what it multiplies with has the precision of a half.

    Attributes:
        mean, std: (810,) of the functionals.
        projection: (810, components).
        landmarks: (landmarks, components), clips of the training.
        weights: (landmarks, emotions).
    """

    mean: np.ndarray
    std: np.ndarray
    projection: np.ndarray
    landmarks: np.ndarray
    weights: np.ndarray

    def network(self) -> keras.Model:
        """Return (batch, frames, 264) raw → (batch, emotions), what it adds to the logits."""
        measured = measuring()
        standardise = layers.Normalization(mean=self.mean, variance=np.square(self.std))
        x = ops.clip(standardise(measured.output), -LIMIT, LIMIT)
        # exp(-|x - z|²), multiplied out.
        project = layers.Dense(self.projection.shape[1], use_bias=False)
        compare = layers.Dense(len(self.landmarks))
        weigh = layers.Dense(self.weights.shape[1], use_bias=False)
        x = project(x)
        near = ops.exp(compare(x) - ops.sum(x * x, axis=-1, keepdims=True))
        network = keras.Model(measured.input, weigh(near), name="functionals")
        project.set_weights([self.projection])
        compare.set_weights([2 * self.landmarks.T, -np.sum(np.square(self.landmarks), axis=1)])
        weigh.set_weights([self.weights])
        return network


def measuring() -> keras.Model:
    """Return (batch, frames, 264) raw → (batch, 810) functionals.

    Of each of the 264 numbers of a frame, and the 6 of its pitch: mean and deviation over the clip,
    and how it goes along with the level. Nothing of it depends on how loud the recording is.

    Frames in which all 264 numbers are 0 are padding, as in `network.frames_frontend`.
    """
    raw = keras.Input((None, N_FEATURES))
    is_frame = ops.cast(ops.any(ops.not_equal(raw, 0.0), axis=-1, keepdims=True), "float32")
    frames = decibel(raw)
    frames = ops.concatenate([frames, pitch.contour(frames[..., MEL], is_frame)], axis=-1)

    count = ops.maximum(ops.sum(is_frame, axis=1, keepdims=True), 1.0)

    def average(x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.sum(x * is_frame, axis=1, keepdims=True) / count

    mean = average(frames)
    apart = frames - mean
    deviation = ops.sqrt(average(apart * apart))
    level = apart[..., RMS : RMS + 1] / (deviation[..., RMS : RMS + 1] + _MIN_LEVEL_STD)
    mean -= mean[..., RMS : RMS + 1] * np.pad(LOUDER, (0, pitch.N_PITCH))
    functionals = [mean, deviation, average(apart * level)]
    return keras.Model(raw, ops.concatenate(functionals, axis=-1)[:, 0])


def fit(functionals: np.ndarray, targets: np.ndarray, corpus: Sequence[str]) -> Machine:
    """Return a machine that learned from clips.

    It learns which emotions are more or less likely than they are in a corpus as a whole; those
    that a corpus does not know are neither. To the scales of the functionals a corpus counts in
    proportion to the square root of its clips, as in the training of the network. If there are more
    clips than `LANDMARKS`, others are compared with some of them alone (Nyström's method; Williams
    & Seeger, NeurIPS 2000).

    Args:
        functionals: (clips, 810) of `measuring`.
        targets: (clips, emotions) of `training.label_targets`.
        corpus: (clips,) its name.
    """
    from scipy.linalg import cho_factor, cho_solve
    from sklearn.metrics.pairwise import rbf_kernel

    number, share = corpus_shares(corpus)
    mean = share @ functionals
    std = np.sqrt(share @ np.square(functionals - mean))
    std = np.where(std < _MIN_STD, 1.0, std)
    inputs = np.clip((functionals - mean) / std, -LIMIT, LIMIT)

    variance, directions = np.linalg.eigh((inputs.T * share) @ inputs)
    count = np.clip(np.count_nonzero(variance > _LEAST * variance[-1]), 1, COMPONENTS)
    variance, directions = np.maximum(variance[-count:], _LEAST), directions[:, -count:]
    projection = directions * variance ** (-_WHITENING / 2)
    projection *= np.sqrt(_GAMMA / np.sum(variance ** (1 - _WHITENING)))
    projection = _halved(projection)
    # In double precision: clips that nearly are each other's copies would make the system singular.
    points = inputs @ projection
    landmarks = _halved(points[_draw_landmarks(number)])

    said = np.maximum(targets, 0)
    usual = np.array([said[number == one].mean(axis=0) for one in range(number.max() + 1)])
    wanted = said - usual[number]  # 0 where a corpus does not know an emotion
    system = _RIDGE * rbf_kernel(landmarks, gamma=1.0)
    right = np.zeros((len(landmarks), targets.shape[1]))
    for start in range(0, len(points), _BLOCK):
        near = rbf_kernel(landmarks, points[start : start + _BLOCK], gamma=1.0)
        system += near @ near.T
        right += near @ wanted[start : start + _BLOCK]
    system[np.diag_indices_from(system)] += _JITTER
    weights = cho_solve(cho_factor(system, lower=True, overwrite_a=True), right)
    return Machine(mean, std, projection, landmarks, _halved(SAY * weights))


def _draw_landmarks(number: np.ndarray) -> np.ndarray:
    """Return the rows of clips that others are compared with.

    As many of each corpus, and all of one that has less than its part.

    Args:
        number: (clips,) of their corpus.
    """
    rng = np.random.default_rng(0)
    parts = sorted((np.flatnonzero(number == one) for one in np.unique(number)), key=len)
    drawn: list[np.ndarray] = []
    for place, part in enumerate(parts):
        quota = (LANDMARKS - sum(map(len, drawn))) // (len(parts) - place)
        drawn.append(rng.permutation(part)[:quota])
    return np.sort(np.concatenate(drawn))


def _halved(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float64)
