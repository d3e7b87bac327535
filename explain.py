"""Why the classifier says what it says: a recording's 264 numbers, and the moments that count.

From a classifier and a waveform that it hears in one piece, of `classifier.MAX_WHOLE_SECONDS` at
most; `views/numbers.py` shows what is found.
"""

from dataclasses import dataclass

import numpy as np

import features
from audio import SAMPLE_RATE
from classifier import EmotionClassifier

#: How much is hidden at a time: this share of the sound, but at least so many seconds.
HIDDEN_SHARE = 0.1
MIN_HIDDEN_SECONDS = 0.3

#: The next stretch begins this share of its length later.
STEP_SHARE = 0.25

BATCH = 8  # hidden stretches that the network hears at a time


@dataclass(frozen=True)
class Occlusion:
    """What a classifier says of a recording when a stretch of it is hidden.

    Attributes:
        starts, ends: (stretches,) of what is hidden, in seconds.
        whole: (emotions,) probabilities when nothing is hidden.
        hidden: (stretches, emotions) probabilities when each stretch is.
    """

    starts: np.ndarray
    ends: np.ndarray
    whole: np.ndarray
    hidden: np.ndarray

    def falls(self, emotion: int) -> np.ndarray:
        """Return how far an emotion's probability falls without each stretch: (stretches,).

        Negative where the probability rises: what was heard there spoke for another emotion.
        """
        return self.whole[emotion] - self.hidden[:, emotion]


def occlude(classifier: EmotionClassifier, waveform: np.ndarray) -> Occlusion:
    """Hide stretch after stretch of a recording and ask the network again each time.

    Zeiler and Fergus (ECCV 2014, section 4.2) slide a grey square over a picture; here a stretch of
    frames slides over the sound, each frame the mean of the training, which speaks for nothing. Its
    neighbours, whose deltas look up to 0.2 s around them, stay as they are. The silence before and
    after the sound is not heard by the network, so there is nothing to hide.

    Args:
        classifier: what is asked, adapted to a known voice or not.
        waveform: (samples,) float32, mono, at `SAMPLE_RATE`.

    Raises:
        audio.AudioError: it is not a waveform.
    """
    every = features.extract_frames(waveform)
    frames = features.trim_silence(every)
    # A view into `every`: where it begins in memory is where the sound begins.
    first = (frames.ctypes.data - every.ctypes.data) // every.strides[0]
    per_second = SAMPLE_RATE / features.HOP_LENGTH
    length = max(round(MIN_HIDDEN_SECONDS * per_second), round(HIDDEN_SHARE * len(frames)))
    length = min(length, len(frames))
    step = max(1, round(STEP_SHARE * length))
    # The last stretch ends with the sound.
    places = [*range(0, len(frames) - length, step), len(frames) - length]

    mean = np.array(classifier.manifest["normalisation"]["mean"], np.float32)
    nothing = features.linear(mean[np.newaxis])
    strange = classifier.strangeness(frames)  # the recording, with or without a part of it
    hidden = []
    for done in range(0, len(places), BATCH):
        batch = np.repeat(frames[np.newaxis], len(places[done : done + BATCH]), axis=0)
        for clip, place in zip(batch, places[done:], strict=False):
            clip[place : place + length] = nothing
        hidden.append(classifier.believed(np.stack(list(map(classifier.pooled, batch))), strange))
    # Frame i is centred on i / per_second.
    starts = (first + np.array(places) - 0.5) / per_second
    return Occlusion(
        starts=np.maximum(starts, 0.0),
        ends=np.minimum(starts + length / per_second, len(waveform) / SAMPLE_RATE),
        whole=classifier.believed(classifier.pooled(frames)[np.newaxis], strange)[0],
        hidden=np.concatenate(hidden),
    )


def numbers(classifier: EmotionClassifier, waveform: np.ndarray) -> np.ndarray:
    """Return the 264 numbers of a recording on the scale of a model's averages: (264,).

    The mean, in decibel, over what the network is shown, silence left out, as
    `training.emotion_means`.

    Args:
        classifier: whose kind of network decides what is averaged.
        waveform: (samples,) float32, mono, at `SAMPLE_RATE`.

    Raises:
        audio.AudioError: it is not a waveform.
    """
    frames = features.trim_silence(features.extract_frames(waveform))
    return features.averages(classifier.pooled(frames))


def emotion_means(classifier: EmotionClassifier) -> np.ndarray | None:
    """Return the average of each emotion in training, (emotions, 264) as of `numbers`.

    None where a model was trained before averages were kept.
    """
    means = classifier.manifest.get("emotion_means")
    return None if means is None else np.array(means, np.float32)


def standardise(classifier: EmotionClassifier, values: np.ndarray) -> np.ndarray:
    """Return (..., 264) numbers as standard deviations from the mean of the training."""
    normalisation = classifier.manifest["normalisation"]
    return (values - np.array(normalisation["mean"])) / np.array(normalisation["std"])


def group_distances(clip: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return how far a clip is from each emotion in each of `features.FEATURE_GROUPS`.

    Args:
        clip: (264,) from `standardise`.
        means: (emotions, 264) from `standardise`.

    Returns:
        (groups, emotions): the root mean square of the differences, in standard deviations.
    """
    squares = np.square(clip - means)
    return np.array([np.sqrt(squares[:, group].mean(axis=1)) for group in features.FEATURE_GROUPS])
