"""The Keras networks: `vector`, the original system's 1D-CNN, and `frames`, a temporal 1D-CNN.

Both are built from two parts. The `frontend` takes the raw numbers of `features.py`, puts powers
on a decibel scale, standardises each of the 264 features with the mean and standard deviation of
the training clips, and stops at a limit what is far from them; that of `frames` adds the pitch,
which it reads off the mel bands. The `body` learns, and several bodies that learned from different
draws are an ensemble. Training runs on a body alone, over features that went through the
frontend's steps before; `join` makes one network of frontend and bodies, and of what `functionals`
has to say beside them, and that is what is saved: raw features in, calibrated probabilities out.

Only built-in Keras layers and operations are used, so a saved network loads in Keras' safe mode.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

import pitch
from features import FEATURE_NAMES, MEL, POWER_FLOOR, RMS

N_FEATURES = len(FEATURE_NAMES)

#: Standardised features stop here: no band that a microphone adds or lacks outweighs the others.
LIMIT = 2.0

#: And here, where `frames` is asked: it learned from clips of which parts were hidden or mixed with
#: others, so that whole ones say more than it is used to (docs/experiments.md).
ASKED_LIMIT = 1.5

_CHANNELS = 192  # of all convolutions of `frames`
_EPSILON = 1e-3  # of their batch normalisations


def frames_frontend(mean: np.ndarray, std: np.ndarray) -> keras.Model:
    """Return (batch, frames, 264) raw → (batch, frames, 270) standardised, and their pitch.

    Mel and RMS are on the scale of `features.decibel`; the last numbers are of `pitch.contour`.
    Frames in which all 264 numbers are 0 are padding (silence is not: its first MFCC is about
    -1100) and come out as zeros, the mean of every feature.

    Args:
        mean, std: (264,) of the training frames, mel and RMS in decibel.
    """
    raw = keras.Input((None, N_FEATURES))
    is_frame = ops.cast(ops.any(ops.not_equal(raw, 0.0), axis=-1, keepdims=True), "float32")
    in_decibel = decibel(raw)
    standardised = _standardise(in_decibel, mean, std, limit=ASKED_LIMIT) * is_frame
    heard = pitch.contour(in_decibel[..., MEL], is_frame)
    return keras.Model(raw, ops.concatenate([standardised, heard], axis=-1), name="frontend")


def frames_body(n_emotions: int, *, folded: bool = False) -> keras.Model:
    """Return the temporal 1D-CNN: (batch, frames, 270) of the frontend → (batch, emotions) logits.

    One strided convolution, residual blocks of growing dilation, and attentive statistics pooling
    (Okabe, Koshinaka & Shinoda, Interspeech 2018): a learned weight per frame and channel, of
    which the weighted mean and standard deviation over time describe the clip.

    Args:
        n_emotions: in label order.
        folded: the convolutions have biases and no batch normalisation, for weights of `fold`.
    """
    features = keras.Input((None, N_FEATURES + pitch.N_PITCH))
    is_frame = ops.cast(ops.any(ops.not_equal(features, 0.0), axis=-1, keepdims=True), "float32")
    is_frame = layers.MaxPooling1D(2, padding="same")(is_frame)

    def convolve(x: keras.KerasTensor, width: int, **options: int) -> keras.KerasTensor:
        x = layers.Conv1D(_CHANNELS, width, padding="same", use_bias=folded, **options)(x)
        if not folded:
            x = layers.BatchNormalization(epsilon=_EPSILON)(x)
        return layers.Activation("relu")(x)

    x = convolve(features, 5, strides=2) * is_frame
    for dilation in (1, 2, 4):
        # Padding is set back to zero after each block, so that a clip's result does not depend
        # on the length of the longest clip in its batch.
        x = (x + convolve(x, 3, dilation_rate=dilation)) * is_frame

    attention = layers.Dense(_CHANNELS)(layers.Dense(64, activation="tanh")(x))
    weight = ops.softmax(attention - 1e4 * (1.0 - is_frame), axis=1)
    mean = ops.sum(weight * x, axis=1)
    variance = ops.sum(weight * x * x, axis=1) - mean * mean
    pooled = ops.concatenate([mean, ops.sqrt(ops.maximum(variance, 1e-5))], axis=-1)
    pooled = layers.Dropout(0.2)(layers.BatchNormalization()(pooled))
    return keras.Model(features, layers.Dense(n_emotions)(pooled), name="body")


def fold(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the weights with which a folded `frames_body` says what a trained one says.

    Args:
        weights: of the trained one, in Keras' order.
    """
    rest, folded = list(weights), []
    while rest[0].ndim == 3:  # a convolution, and its batch normalisation
        kernel, gamma, beta, mean, variance, *rest = rest
        scale = gamma / np.sqrt(variance + _EPSILON)
        folded += [kernel * scale, beta - mean * scale]
    return folded + rest


def vector_frontend(mean: np.ndarray, std: np.ndarray) -> keras.Model:
    """Return (batch, 264, 1) raw vectors → (batch, 264, 1) standardised, mel and RMS in decibel.

    Args:
        mean, std: (264,) of the training vectors, mel and RMS in decibel.
    """
    raw = keras.Input((N_FEATURES, 1))
    in_decibel = decibel(layers.Reshape((1, N_FEATURES))(raw))
    standardised = _standardise(in_decibel, mean, std, limit=LIMIT)
    return keras.Model(raw, layers.Reshape((N_FEATURES, 1))(standardised), name="frontend")


def vector_body(n_emotions: int) -> keras.Model:
    """Return the original system's network: (batch, 264, 1) standardised → (batch, emotions).

    Layer by layer the original, but for its softmax, which `join` adds behind the temperature.
    """

    def convolve(x: keras.KerasTensor) -> keras.KerasTensor:
        regularizer = keras.regularizers.L1L2(1e-5, 1e-4)
        return layers.Conv1D(128, 5, activation="relu", kernel_regularizer=regularizer)(x)

    vector = keras.Input((N_FEATURES, 1))
    x = layers.Conv1D(256, 5, padding="same", activation="relu")(vector)
    x = layers.Dropout(0.1)(convolve(x))
    x = layers.MaxPooling1D(8)(x)
    x = layers.Dropout(0.5)(convolve(convolve(x)))
    return keras.Model(vector, layers.Dense(n_emotions)(layers.Flatten()(x)), name="body")


def join(
    frontend: keras.Model,
    bodies: Sequence[keras.Model],
    *,
    temperature: float,
    beside: keras.Model | None = None,
) -> keras.Model:
    """Return the network that is saved: raw features → probabilities.

    Args:
        frontend, bodies: of the same kind. The mean of the bodies' logits is the ensemble's.
        temperature: these logits are divided by it, so that in the end the probabilities are as
            large as the network is right (Guo et al., ICML 2017).
        beside: of the same raw features; what it says is added after that, as it is.
    """
    raw = keras.Input(frontend.input_shape[1:], name="features")
    standardised = frontend(raw)
    # The same layers without the compiled bodies' optimizers, which would be saved with them.
    members = [
        keras.Model(body.input, body.output, name=f"body_{number}")
        for number, body in enumerate(bodies)
    ]
    logits = sum(member(standardised) for member in members) / (len(members) * temperature)
    if beside is not None:
        logits += beside(raw)
    return keras.Model(raw, layers.Softmax(name="probabilities")(logits), name="network")


def decibel(raw: keras.KerasTensor) -> keras.KerasTensor:
    """Return (..., 264) raw features on the scale of `features.decibel`: (..., 264)."""
    per_neper = 10.0 / math.log(10.0)
    mel = per_neper * ops.log(ops.maximum(raw[..., MEL], POWER_FLOOR))
    rms = 2 * per_neper * ops.log(ops.maximum(raw[..., RMS : RMS + 1], POWER_FLOOR**0.5))
    return ops.concatenate([raw[..., : MEL.start], mel, raw[..., MEL.stop : RMS], rms], axis=-1)


def _standardise(
    in_decibel: keras.KerasTensor, mean: np.ndarray, std: np.ndarray, *, limit: float
) -> keras.KerasTensor:
    standardise = layers.Normalization(mean=mean, variance=np.square(std))
    return ops.clip(standardise(in_decibel), -limit, limit)
