"""From sound to emotion: the one inference path of the page, the command and the evaluation.

Short recordings are judged in one piece, longer ones window by window, in memory that does not grow
with their length.
"""

import copy
import itertools
import math
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import audio
import averages
import familiarity
import features
import gate
import leaning
import model_folder
import runtime
import windows
from leaning import Leaning
from model_folder import ModelError

#: Recordings up to this length are judged in one piece, longer ones window by window.
MAX_WHOLE_SECONDS = 10.0

#: Under this length, in seconds, there is too little speech to trust an answer.
SHORT_SECONDS = 0.5

#: A calibrated probability under one half: the answer is more likely wrong than right.
UNCERTAIN_BELOW = 0.5

#: Of two emotions, one always has a half; an answer is to be so many times as likely as a guess.
BETTER_THAN_GUESSED = 1.5

SILENT = "no voice found: the recording is silent"
PAUSE = "no voice found: a pause beside the loudest sound"
NO_VOICE = "no voice found: nobody is heard to speak or sing"

#: A person's speech under this length, in seconds, says too little about their voice.
MIN_REFERENCE_SECONDS = 5.0

#: Of each recording of it, the first so many seconds count: more says no more, but fills memory.
MAX_REFERENCE_SECONDS = 600.0

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
    """A stretch of a recording, and what was heard in it.

    Attributes:
        start, end: in seconds.
        prediction: what the classifier says of it.
        level: RMS of its loudest frame, full scale is 1.
    """

    start: float
    end: float
    prediction: Prediction
    level: float


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
        self._familiar = [
            {name: np.asarray(value) for name, value in corpus.items()}
            for corpus in manifest.get("familiar", [])
        ]
        self._averages = {
            name: np.asarray(value) for name, value in manifest.get("averages", {}).items()
        }
        self._leaning: Leaning | None = None  # of a known voice
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
        return cls(manifest, runtime.load(folder))

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
        return self._classify(audio.stream(source, progress=progress))

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
        return self._classify(_pieces(waveform, progress))

    def classify_segments(
        self, waveform: np.ndarray, *, progress: Callable[[float], None] | None = None
    ) -> list[Segment]:
        """Classify a waveform in windows (`windows.cut`); in pauses the emotion is None.

        Args:
            waveform: (samples,) float32, mono, at `audio.SAMPLE_RATE`.
            progress: as in `classify`.

        Raises:
            audio.AudioError: it is not a waveform.
        """
        return settle_pauses(list(self.stream_segments(_pieces(waveform, progress))))

    def stream_segments(self, pieces: Iterable[np.ndarray]) -> Iterator[Segment]:
        """Classify a recording of any length in windows, each as soon as it is heard.

        What is a pause beside the loudest sound of all is known at the end: `settle_pauses`.

        Args:
            pieces: of the waveform one after the other, as from `audio.stream`.

        Raises:
            audio.AudioError: of the pieces, while they are heard.
        """
        loudest, next_start = 0.0, 0
        voice_ahead: bool | None = None
        for start, waveform, spectra in windows.cut(pieces):
            level = gate.loudest_rms(waveform)
            loudest = max(loudest, level)
            if start != next_start:  # the last window, where it lies out of step
                voice_ahead = None
            next_start = start + windows.HOP
            pause = gate.pause_rms(loudest)
            prediction = self._unheard(waveform, level, silence=pause)
            if prediction is not None:
                voice_ahead = None
            else:
                voice, voice_ahead = _find_voice(waveform, voice_ahead, pause=pause)
                if voice:
                    prediction = self._judge(waveform, features.combine(spectra))
                else:
                    prediction = _nothing(self.labels, NO_VOICE)
            end = start + len(waveform)
            yield Segment(start / audio.SAMPLE_RATE, end / audio.SAMPLE_RATE, prediction, level)

    def summarise(self, segments: Sequence[Segment]) -> Prediction:
        """Return the answer to a recording, or to the part that was heard, from its segments.

        The mean of those that are no pause, with the warning that most of them carry.

        Args:
            segments: one or more of `stream_segments`.
        """
        heard = [s.prediction for s in settle_pauses(segments) if s.prediction.emotion is not None]
        if not heard:
            silent = max(segment.level for segment in segments) < gate.SILENCE_RMS
            return _nothing(self.labels, SILENT if silent else NO_VOICE)
        mean = np.mean([list(prediction.probabilities.values()) for prediction in heard], axis=0)
        warning, count = Counter(prediction.warning for prediction in heard).most_common(1)[0]
        return self._prediction(mean, warning if 2 * count > len(heard) else "")

    def adapted_to(
        self, references: Iterable[str | os.PathLike[str] | bytes | BinaryIO]
    ) -> "EmotionClassifier":
        """Return a classifier for one person, given recordings of their speech.

        What the network hears in them whatever is said is taken off every answer, in part
        (`leaning.py`).

        Args:
            references: whatever `audio.load` reads.

        Raises:
            audio.AudioError: one of them cannot be read as sound, or together they hold less than
                `MIN_REFERENCE_SECONDS` of voice.
            ModelError: the model was trained by an earlier version, and does not say what is usual.
        """
        if "usual" not in self.manifest:
            raise ModelError(
                "The model does not say what is usual among voices: it was trained by an earlier "
                "version. Train it again with train.py, or ask without a reference."
            )
        adapted = copy.copy(self)  # shares the network, and the lock on it
        adapted._leaning = None
        heard, seconds = [], []
        for source in references:
            waveform = features.check(next(audio.stream(source, seconds=MAX_REFERENCE_SECONDS)))
            pause = gate.pause_rms(gate.loudest_rms(waveform))
            whole = len(waveform) <= MAX_WHOLE_SECONDS * audio.SAMPLE_RATE
            size = len(waveform) if whole else windows.SAMPLES
            for start in range(0, len(waveform), size):
                piece = waveform[start : start + size]
                if len(piece) < features.MIN_SAMPLES or gate.loudest_rms(piece) < pause:
                    continue
                if not gate.has_voice(piece):
                    continue
                frames = features.trim_silence(features.extract_frames(piece))
                heard.append(adapted.probabilities(self.pooled(frames)[np.newaxis])[0])
                seconds.append(len(frames) * features.HOP_LENGTH / audio.SAMPLE_RATE)
        if sum(seconds) < MIN_REFERENCE_SECONDS:
            raise audio.AudioError(
                f"The reference holds {sum(seconds):.1f} s of voice; at least "
                f"{MIN_REFERENCE_SECONDS:g} s are needed to know a speaker, better half a minute. "
                "Record more."
            )
        adapted._leaning = leaning.measure(
            np.array(heard), np.array(seconds), self.labels, self.manifest["usual"]
        )
        return adapted

    def pooled(self, frames: np.ndarray) -> np.ndarray:
        """Return frames as the kind of network takes them: all, or for `vector` one mean.

        Of all frames but pauses, unless the model was trained before pauses were left out.

        Args:
            frames: (frames, 264) of `features.extract_frames`, silence trimmed.

        Returns:
            (frames or 1, 264), still raw.
        """
        if self.manifest["network"] == "frames":
            return frames
        pause_db = self.manifest.get("pause_db", math.inf)
        return features.vector_of_sound(frames, pause_db)[np.newaxis]

    def probabilities(self, pooled: np.ndarray) -> np.ndarray:
        """Return what the network says, less the leaning of a known voice: (clips, emotions).

        In label order. Calibrated for recordings like those of the training: `believed` has what
        is to be believed of others.

        Threads may call it at the same time, and are served one after the other.

        Args:
            pooled: (clips, frames or 1, 264) float32, of each clip what `pooled` returns; all of
                one length.
        """
        if self.manifest["network"] == "vector":
            pooled = pooled.swapaxes(1, 2)
        with self._lock:
            probabilities = self._run(pooled)
        return probabilities if self._leaning is None else self._leaning.take_off(probabilities)

    def strangeness(self, frames: np.ndarray) -> float:
        """Return how unlike the recordings of the training a clip is, from 0 to 1.

        Also where the voice is known. To a model that was trained before this was looked for,
        nothing is strange.

        Args:
            frames: as for `pooled`.
        """
        if not self._familiar:
            return 0.0
        cepstral = features.cepstral_mean(features.averages(self.pooled(frames)))
        return float(familiarity.strangeness(cepstral, self._familiar))

    def believed(self, pooled: np.ndarray, strangeness: float) -> np.ndarray:
        """Return what is to be believed of clips: (clips, emotions), in label order.

        Of strange ones their averages have a say, too, if the model has any of `averages.fit`.

        Args:
            pooled: as for `probabilities`.
            strangeness: of the recording that they are, or that they were made of.
        """
        said: np.ndarray | float = 0.0
        if strangeness and self._averages:
            said = averages.logits(np.array(list(map(features.averages, pooled))), self._averages)
        return familiarity.doubt(self.probabilities(pooled), strangeness, said)

    def _classify(self, pieces: Iterator[np.ndarray]) -> Prediction:
        first = next(pieces)  # of a minute, or all
        if len(first) > MAX_WHOLE_SECONDS * audio.SAMPLE_RATE:
            return self.summarise(list(self.stream_segments(itertools.chain([first], pieces))))
        prediction = self._unheard(first, gate.loudest_rms(first), silence=gate.SILENCE_RMS)
        if prediction is not None:
            return prediction
        if not _is_short(first) and not gate.has_voice(first):
            return _nothing(self.labels, NO_VOICE)
        return self._judge(first, features.extract_frames(first))

    def _unheard(self, waveform: np.ndarray, level: float, *, silence: float) -> Prediction | None:
        """Return the answer where a waveform is too short or too soft to listen to."""
        if len(waveform) < features.MIN_SAMPLES:
            return _nothing(self.labels, _too_short(waveform))
        if level < silence:
            return _nothing(self.labels, _soft(level))
        return None

    def _judge(self, waveform: np.ndarray, frames: np.ndarray) -> Prediction:
        """Return the answer of the network to a waveform with a voice, and its features."""
        frames = features.trim_silence(frames)
        strangeness = self.strangeness(frames)
        warning = self._warning(waveform, frames, strangeness)
        probabilities = self.believed(self.pooled(frames)[np.newaxis], strangeness)[0]
        return self._prediction(probabilities, warning, uncertain=_is_short(waveform))

    def _warning(self, waveform: np.ndarray, frames: np.ndarray, strangeness: float) -> str:
        """Return in words what makes an answer doubtful, the worst first, or ''."""
        if _is_short(waveform):
            return _too_short(waveform)
        if np.count_nonzero(np.abs(waveform) >= 0.999) > CLIPPED_SHARE * len(waveform):
            return "clipped: the recording was too loud for its microphone"
        # Sorted along neighbours in memory; np.percentile takes longer.
        mel = np.sort(np.ascontiguousarray(features.decibel(frames)[:, features.MEL].T))
        low, high = mel[:, len(frames) // 10], mel[:, len(frames) * 19 // 20]
        if np.mean(high - low) < NOISY_RANGE_DB:
            return "very noisy: the voice hardly stands out of the noise"
        if strangeness == 1:
            return "unlike the recordings that the model learned from: voice, room or microphone"
        return ""

    def _prediction(
        self, probabilities: np.ndarray, warning: str, *, uncertain: bool = False
    ) -> Prediction:
        best = int(np.argmax(probabilities))
        confidence = float(probabilities[best])
        enough = max(UNCERTAIN_BELOW, BETTER_THAN_GUESSED / len(self.labels))
        return Prediction(
            emotion=self.labels[best],
            confidence=confidence,
            uncertain=uncertain or confidence < enough,
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            warning=warning,
        )


def settle_pauses(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments of a recording, without emotion where they are pauses.

    Args:
        segments: all of `EmotionClassifier.stream_segments`.
    """
    pause = gate.pause_rms(max((segment.level for segment in segments), default=0.0))
    return [
        replace(
            segment,
            prediction=_nothing(segment.prediction.probabilities, _soft(segment.level)),
        )
        if segment.prediction.emotion is not None and segment.level < pause
        else segment
        for segment in segments
    ]


def _soft(level: float) -> str:
    """Return why there is nothing to hear in a waveform of this level."""
    return SILENT if level < gate.SILENCE_RMS else PAUSE


def _nothing(labels: Iterable[str], warning: str) -> Prediction:
    return Prediction(None, 0.0, True, dict.fromkeys(labels, 0.0), warning)


def _pieces(waveform: np.ndarray, progress: Callable[[float], None] | None) -> Iterator[np.ndarray]:
    """Yield a waveform as `audio.stream` does a file."""
    waveform = audio.without_offset(features.check(waveform))
    size = round(audio.PIECE_SECONDS * audio.SAMPLE_RATE)
    for end in range(size, len(waveform) + size, size):
        yield waveform[end - size : end]
        if progress is not None:
            progress(min(1.0, end / len(waveform)))


def _find_voice(
    window: np.ndarray, first_half: bool | None, *, pause: float
) -> tuple[bool, bool | None]:
    """Tell whether there is a voice in a window, that is, in one of its halves.

    The second half comes first: it is half of the next window, too.

    Args:
        window: (samples,); one that is shorter than the others is a whole recording.
        first_half: whether there is one in the first half; None where it is not known.
        pause: level under which there is none.

    Returns:
        Whether there is one in the window, and in its second half; None where that is not known.
    """
    if len(window) < windows.SAMPLES:
        return _is_short(window) or gate.has_voice(window), None
    if first_half:
        return True, None
    second = window[windows.HOP :]
    unknown = [second] if first_half is False else [second, window[: windows.HOP]]
    loud = [half for half in unknown if gate.loudest_rms(half) >= pause]
    found = gate.find_voice(loud)
    if found is None:
        return False, False
    return True, True if loud[found] is second else None


def _is_short(waveform: np.ndarray) -> bool:
    return len(waveform) < SHORT_SECONDS * audio.SAMPLE_RATE


def _too_short(waveform: np.ndarray) -> str:
    seconds = len(waveform) / audio.SAMPLE_RATE
    return f"too short: {seconds:.2f} s (at least {SHORT_SECONDS} s is needed to judge)"
