"""From sound to emotion: the one inference path of the page, the command and the evaluation.

A model folder is read, verified and run by LiteRT, or by Keras where LiteRT is not installed.
"""

import copy
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

import audio
import features
import gate
import model_folder
from model_folder import ModelError

#: Recordings up to this length are judged in one piece, longer ones window by window.
MAX_WHOLE_SECONDS = 10.0
WINDOW_SECONDS = 3.0
WINDOW_HOP_SECONDS = 1.5

#: Under this length, in seconds, there is too little speech to trust an answer.
SHORT_SECONDS = 0.5

#: A calibrated probability under one half: the answer is more likely wrong than right.
UNCERTAIN_BELOW = 0.5

#: The loudest frame of a recording below this RMS (-60 dB of full scale) holds no voice.
SILENCE_RMS = 1e-3
SILENT = "no voice found: the recording is silent"
NO_VOICE = "no voice found: nobody is heard to speak or sing"

#: A window this far, in decibel, under the loudest frame of its recording is a pause.
PAUSE_DB = 35.0

#: A person's speech under this length, in seconds, says too little about their voice.
MIN_REFERENCE_SECONDS = 5.0

#: How much of a known voice's distance from the mean of the training is taken off. The whole of it
#: costs accuracy (docs/experiments.md): the mood of the reference goes with the voice.
REFERENCE_SHARE = 0.25

#: Where a mel band's 10th and 95th percentile lie closer than this, in decibel and on average over
#: the bands, noise fills the gaps of speech: RAVDESS with noise at 0 dB lies below in 3 of 4 clips,
#: at 5 dB in half of them, at 10 dB in 1 of 20, as recorded never.
NOISY_RANGE_DB = 14.0

#: Share of samples at full scale from which a recording is called clipped.
CLIPPED_SHARE = 1e-3


@dataclass(frozen=True)
class Prediction:
    """What the classifier says of one recording or segment.

    Attributes:
        emotion: the most probable emotion, or None where there is nothing to judge.
        confidence: calibrated probability of `emotion`; 0 where that is None.
        uncertain: the evidence is thin: the answer may well be another one.
        probabilities: of each emotion in label order; sums to 1, or is all 0 without emotion.
        warning: plain words on what makes the answer doubtful, or ''.
    """

    emotion: str | None
    confidence: float
    uncertain: bool
    probabilities: dict[str, float]
    warning: str = ""

    @property
    def runner_up(self) -> str | None:
        """The second most probable emotion, or None where there is nothing to judge."""
        if self.emotion is None:
            return None
        return sorted(self.probabilities, key=self.probabilities.__getitem__)[-2]


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording, from `start` to `end` in seconds, and what was heard in it."""

    start: float
    end: float
    prediction: Prediction


class EmotionClassifier:
    """A verified model folder, ready to classify. One instance may serve many threads.

    Example:
        EmotionClassifier.load("model/frames").classify("clip.wav").emotion
    """

    def __init__(self, manifest: dict[str, Any], run: Callable[[np.ndarray], np.ndarray]) -> None:
        """Prefer `EmotionClassifier.load`.

        Args:
            manifest: of the model folder.
            run: (1, frames, 264) or (1, 264, 1) float32 → (1, emotions) probabilities.
        """
        self.manifest = manifest
        self.labels: tuple[str, ...] = tuple(manifest["labels"])
        self._run = run
        self._offset: np.ndarray | None = None  # of a known voice from the mean of the training
        # Neither runtime promises that one network may run in two threads at once.
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "EmotionClassifier":
        """Read and verify a model folder.

        Raises:
            ModelError: the folder or a file is missing, was changed since training, or belongs to
                other features than this program computes.
        """
        folder = Path(folder)
        manifest = model_folder.read(folder)
        if manifest["feature_version"] != features.FEATURE_VERSION:
            raise ModelError(
                f"{folder} was trained on version {manifest['feature_version']} of the features, "
                f"this program computes version {features.FEATURE_VERSION}. "
                "Train it again with train.py."
            )
        try:
            from ai_edge_litert import interpreter
        except ImportError:
            return cls(manifest, _keras_runner(folder / "network.keras"))
        return cls(manifest, _litert_runner(interpreter, folder / "network.tflite"))

    def classify(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Classify a recording: a path, the bytes of a file or an open binary file.

        Args:
            source: whatever `audio.load` reads.
            progress: called with the share that is done, from 0 to 1, during long recordings.

        Raises:
            audio.AudioError: it cannot be read as sound.
        """
        return self.classify_waveform(audio.load(source), progress=progress)

    def classify_waveform(
        self, waveform: np.ndarray, *, progress: Callable[[float], None] | None = None
    ) -> Prediction:
        """Classify a waveform, of more than `MAX_WHOLE_SECONDS` as the mean of its windows.

        Args:
            waveform: (samples,) float32, mono, at `audio.SAMPLE_RATE`.
            progress: as in `classify`.

        Raises:
            audio.AudioError: it is not a waveform.
        """
        waveform = features.check(waveform)
        seconds = len(waveform) / audio.SAMPLE_RATE
        if seconds <= MAX_WHOLE_SECONDS:
            return self._classify_piece(waveform, silence=SILENCE_RMS)
        heard = [
            segment.prediction
            for segment in self.classify_segments(waveform, progress=progress)
            if segment.prediction.emotion is not None
        ]
        if not heard:
            silent = _loudest_rms(waveform) < SILENCE_RMS
            return self._nothing(SILENT if silent else NO_VOICE)
        mean = np.mean([list(prediction.probabilities.values()) for prediction in heard], axis=0)
        return self._prediction(mean, _clipping_warning(waveform))

    def classify_segments(
        self, waveform: np.ndarray, *, progress: Callable[[float], None] | None = None
    ) -> list[Segment]:
        """Classify a waveform in windows of `WINDOW_SECONDS`; in pauses the emotion is None.

        Args:
            waveform: (samples,) float32, mono, at `audio.SAMPLE_RATE`.
            progress: as in `classify`.

        Raises:
            audio.AudioError: it is not a waveform.
        """
        waveform = features.check(waveform)
        window = round(WINDOW_SECONDS * audio.SAMPLE_RATE)
        hop = round(WINDOW_HOP_SECONDS * audio.SAMPLE_RATE)
        # The last window ends with the recording: no rest is left unheard, none is mostly padding.
        starts = [*range(0, len(waveform) - window, hop), max(0, len(waveform) - window)]
        pause = max(SILENCE_RMS, _loudest_rms(waveform) * 10 ** (-PAUSE_DB / 20))
        segments = []
        for number, start in enumerate(starts, 1):
            piece = waveform[start : start + window]
            segments.append(
                Segment(
                    start / audio.SAMPLE_RATE,
                    (start + len(piece)) / audio.SAMPLE_RATE,
                    self._classify_piece(piece, silence=pause),
                )
            )
            if progress is not None:
                progress(number / len(starts))
        return segments

    def adapted_to(
        self, references: Iterable[str | os.PathLike[str] | bytes | BinaryIO]
    ) -> "EmotionClassifier":
        """Return a classifier for one person, given recordings of their speech.

        What a voice and its microphone always have is taken off its recordings, in part
        (`REFERENCE_SHARE`): the difference between the mean of their features and that of the
        training. Half of the training clips were seen that way, so the network knows both.

        Args:
            references: whatever `audio.load` reads.

        Raises:
            audio.AudioError: one of them cannot be read as sound, or together they hold less than
                `MIN_REFERENCE_SECONDS` of voice.
        """
        window = round(WINDOW_SECONDS * audio.SAMPLE_RATE)
        heard, seconds = [], 0.0
        for source in references:
            waveform = features.check(audio.load(source))
            pause = max(SILENCE_RMS, _loudest_rms(waveform) * 10 ** (-PAUSE_DB / 20))
            for start in range(0, len(waveform), window):
                piece = waveform[start : start + window]
                if len(piece) < features.MIN_SAMPLES or _loudest_rms(piece) < pause:
                    continue
                frames = features.trim_silence(features.extract_frames(piece))
                heard.append(features.decibel(self._to_network(frames)))
                seconds += len(frames) * features.HOP_LENGTH / audio.SAMPLE_RATE
        if seconds < MIN_REFERENCE_SECONDS:
            raise audio.AudioError(
                f"The reference holds {seconds:.1f} s of voice; at least {MIN_REFERENCE_SECONDS:g} "
                "s are needed to know a speaker, better half a minute. Record more."
            )
        adapted = copy.copy(self)  # shares the network, and the lock on it
        mean = np.array(self.manifest["normalisation"]["mean"], np.float32)
        adapted._offset = REFERENCE_SHARE * (np.concatenate(heard).mean(axis=0) - mean)
        return adapted

    def _to_network(self, frames: np.ndarray) -> np.ndarray:
        """Return what the network is shown of raw frames, silence trimmed: (frames or 1, 264)."""
        if self.manifest["network"] == "frames":
            return frames
        return features.mean_vector(frames)[np.newaxis]

    def _classify_piece(self, waveform: np.ndarray, *, silence: float) -> Prediction:
        if len(waveform) < features.MIN_SAMPLES:
            return self._nothing(
                f"too short: {len(waveform) / audio.SAMPLE_RATE:.2f} s "
                f"(at least {SHORT_SECONDS} s is needed to judge)"
            )
        if _loudest_rms(waveform) < silence:
            return self._nothing(SILENT)
        too_short = len(waveform) < SHORT_SECONDS * audio.SAMPLE_RATE
        if not too_short and not gate.has_voice(waveform):
            return self._nothing(NO_VOICE)
        frames = features.trim_silence(features.extract_frames(waveform))
        shown = self._to_network(frames)
        if self._offset is not None:
            shown = features.linear(features.decibel(shown) - self._offset)
        warning = self._warning(waveform, frames, shown)
        if self.manifest["network"] == "vector":
            shown = shown.T
        with self._lock:
            probabilities = self._run(shown[np.newaxis])[0]
        return self._prediction(probabilities, warning, uncertain=too_short)

    def _warning(self, waveform: np.ndarray, frames: np.ndarray, shown: np.ndarray) -> str:
        """Return in words what makes an answer doubtful, the worst first, or ''."""
        seconds = len(waveform) / audio.SAMPLE_RATE
        if seconds < SHORT_SECONDS:
            return f"too short: {seconds:.2f} s (at least {SHORT_SECONDS} s is needed to judge)"
        if warning := _clipping_warning(waveform):
            return warning
        mel = features.decibel(frames)[:, features.MEL]
        low, high = np.percentile(mel, [10, 95], axis=0)
        if np.mean(high - low) < NOISY_RANGE_DB:
            return "very noisy: the voice hardly stands out of the noise"
        normalisation = self.manifest["normalisation"]
        if clip_distance(shown, **normalisation) > self.manifest["farthest_clip"]:
            return "unlike the recordings that the model learned from: voice, room or microphone"
        return ""

    def _prediction(
        self, probabilities: np.ndarray, warning: str, *, uncertain: bool = False
    ) -> Prediction:
        best = int(np.argmax(probabilities))
        confidence = float(probabilities[best])
        return Prediction(
            emotion=self.labels[best],
            confidence=confidence,
            uncertain=uncertain or confidence < UNCERTAIN_BELOW,
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            warning=warning,
        )

    def _nothing(self, warning: str) -> Prediction:
        return Prediction(None, 0.0, True, dict.fromkeys(self.labels, 0.0), warning)


def clip_distance(shown: np.ndarray, mean: ArrayLike, std: ArrayLike) -> float:
    """Return how far a clip is from the mean of the training, in squared standard deviations.

    Args:
        shown: (frames or 1, 264) raw features as the network is shown them.
        mean, std: (264,) of the training, in decibel.
    """
    distance = (features.decibel(shown).mean(axis=0) - np.asarray(mean)) / np.asarray(std)
    return float(np.mean(np.square(distance)))


def _litert_runner(litert: Any, file: Path) -> Callable[[np.ndarray], np.ndarray]:
    # The XNNPACK delegate, the default, is faster when many inputs have one length. Clips differ:
    # preparing it anew for each (5 ms) costs more than it saves (2 ms).
    interpreter = litert.Interpreter(
        model_content=file.read_bytes(),
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    tensor_in = interpreter.get_input_details()[0]["index"]
    tensor_out = interpreter.get_output_details()[0]["index"]
    allocated: tuple[int, ...] = ()

    def run(network_input: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if network_input.shape != allocated:
            interpreter.resize_tensor_input(tensor_in, network_input.shape)
            interpreter.allocate_tensors()
            allocated = network_input.shape
        interpreter.set_tensor(tensor_in, network_input)
        interpreter.invoke()
        return interpreter.get_tensor(tensor_out)

    return run


def _keras_runner(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    gate.load()  # before TensorFlow, which Keras brings along
    try:
        import keras
    except ImportError:
        raise ModelError(
            "Neither LiteRT nor Keras is installed. Install one: pip install ai-edge-litert"
        ) from None
    network = keras.saving.load_model(file, compile=False, safe_mode=True)
    return lambda network_input: np.asarray(network(network_input, training=False))


def _loudest_rms(waveform: np.ndarray) -> float:
    """Return the RMS of the loudest frame, without the frames' other features."""
    whole = waveform[: len(waveform) // features.HOP_LENGTH * features.HOP_LENGTH]
    hops = np.square(whole).reshape(-1, features.HOP_LENGTH).mean(axis=1)
    return float(np.sqrt(hops.max(initial=0.0)))


def _clipping_warning(waveform: np.ndarray) -> str:
    if np.mean(np.abs(waveform) >= 0.999) > CLIPPED_SHARE:
        return "clipped: the recording was too loud for its microphone"
    return ""
