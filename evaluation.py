"""Metrics, their records, and the figures drawn from them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import corpora

if TYPE_CHECKING:
    import pandas as pd

BOOTSTRAP_DRAWS = 2000
CALIBRATION_BINS = 15
SET_ASIDE = 0.25


def confusion_matrix(
    labels: Sequence[Any], predictions: Sequence[Any], emotions: Sequence[Any]
) -> np.ndarray:
    """Return how often each emotion (rows) was taken for each (columns): (n, n) int."""
    number = {emotion: i for i, emotion in enumerate(emotions)}
    matrix = np.zeros((len(emotions), len(emotions)), dtype=int)
    for label, prediction in zip(labels, predictions, strict=True):
        matrix[number[label], number[prediction]] += 1
    return matrix


def accuracy(labels: Sequence[str], predictions: Sequence[str]) -> float:
    """Return the share of predictions that are right."""
    return float(np.mean(np.asarray(labels) == np.asarray(predictions)))


def uar(labels: Sequence[Any], predictions: Sequence[Any]) -> float:
    """Return the unweighted average recall: the mean, over the emotions present, of their recall.

    The field's measure (Schuller et al., Interspeech 2009): guessing one emotion throughout gives
    1 / emotions, however unbalanced the clips are.
    """
    emotions = sorted({*labels, *predictions})
    return float(uar_of(confusion_matrix(labels, predictions, emotions)))


def uar_of(matrix: np.ndarray) -> np.ndarray:
    """Return the UAR of confusion matrices: (..., n, n) counts → (...)."""
    clips = matrix.sum(axis=-1)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    recall = np.divide(hits, clips, where=clips > 0, out=np.full(clips.shape, np.nan))
    return np.nanmean(recall, axis=-1)


def f1_per_emotion(
    labels: Sequence[str], predictions: Sequence[str], emotions: Sequence[str]
) -> dict[str, float]:
    """Return each emotion's F1: the harmonic mean of its precision and recall (0 if never met)."""
    matrix = confusion_matrix(labels, predictions, emotions)
    met = matrix.sum(axis=0) + matrix.sum(axis=1)
    f1 = np.divide(2 * np.diagonal(matrix), met, where=met > 0, out=np.zeros(len(emotions)))
    return dict(zip(emotions, map(float, f1), strict=True))


def reliability(confidence: np.ndarray, correct: np.ndarray) -> list[dict[str, float]]:
    """Return the reliability curve: per bin of confidence its clips, mean confidence, accuracy.

    Args:
        confidence: (clips,) probability of what was answered.
        correct: (clips,) whether that was right.
    """
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "clips": int(np.sum(bins == number)),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(correct[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]


def ece(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of equal width (Guo et al., ICML 2017).

    Args:
        confidence, correct: (clips,) as in `reliability`.
    """
    curve = reliability(confidence, correct)
    distance = sum(bin_["clips"] * abs(bin_["confidence"] - bin_["accuracy"]) for bin_ in curve)
    return distance / len(confidence)


@dataclass(frozen=True)
class FoldResult:
    """What the program, with the networks of one fold, said of the clips it was tested on.

    Attributes:
        fold: name of the split.
        seed: of the split and the training.
        test: (clips,) row numbers in the table of clips.
        probabilities: (clips, emotions).
    """

    fold: str
    seed: int
    test: np.ndarray
    probabilities: np.ndarray


def records(
    table: "pd.DataFrame", protocol: str, emotions: Sequence[str], results: Sequence[FoldResult]
) -> list[dict[str, Any]]:
    """Return the metric records of a protocol, as a manifest holds them.

    One per corpus, of clips whose emotions the training clips have, too, and where a corpus holds
    song, one more over its speech alone. None where these emotions are fewer than two, between
    which nobody errs, or where no clip was drawn to be tested. Any emotion of the training may be
    answered, as in use; across corpora, only those that both know.
    """
    made = []
    for corpus, everything in table.groupby("corpus"):
        train = table
        if protocol == "cross-corpus":  # of its voices, nothing is learned elsewhere
            train = table[(table.corpus != corpus) & ~table.speaker.isin(everything.speaker)]
        members = [
            result for result in results if protocol != "cross-corpus" or result.fold == corpus
        ]
        for channels in [None, "speech"] if everything.channel.nunique() > 1 else [None]:
            test = everything if channels is None else everything[everything.channel == channels]
            shared = [
                emotion
                for emotion in emotions
                if emotion in set(test.emotion) and emotion in set(train.emotion)
            ]
            asked = test.index[test.emotion.isin(shared)]
            answers = shared
            if protocol != "cross-corpus":
                answers = [emotion for emotion in emotions if emotion in set(train.emotion)]
            if len(shared) < 2 or not any(np.isin(member.test, asked).any() for member in members):
                continue
            made.append(
                {
                    "protocol": protocol,
                    "train": describe(train),
                    "test": describe(test),
                    **_scores(table, asked, answers, list(emotions), members),
                }
            )
    return made


def likeness(record: Mapping[str, Any]) -> tuple[bool, int]:
    """Return what is the smaller, the more the clips of a record are like any: it sorts them.

    People speak more often than they sing, and feel more than six emotions.
    """
    return record["test"].endswith(" song"), -len(record["f1_per_emotion"])


def summarise(table: "pd.DataFrame") -> dict[str, dict[str, Any]]:
    """Return, per corpus, what a table holds, as a manifest does."""
    return {
        name: {
            "clips": len(clips),
            "speakers": int(clips.speaker.nunique()),
            "channels": sorted(set(clips.channel), reverse=True),
            "licence": corpora.LICENCES.get(name, "unknown"),
        }
        for name, clips in table.groupby("corpus")
    }


def describe(table: "pd.DataFrame") -> str:
    """Return the corpora and channels of a table in words: 'RAVDESS speech and song'."""
    parts = []
    for corpus, clips in table.groupby("corpus"):
        channels = sorted(set(clips.channel), reverse=True)
        parts.append(f"{corpus} {' and '.join(channels)}")
    return ", ".join(parts)


def report(record: dict[str, Any]) -> str:
    """Return a record as text: precision, recall and F1 per emotion, accuracy and UAR."""
    matrix = np.array(record["confusion_matrix"])
    hits = np.diagonal(matrix)
    lines = [
        f"{record['protocol']}: trained on {record['train']}, tested on {record['test']}",
        f"{'':12}precision  recall     F1  clips",
    ]
    for number, emotion in enumerate(record["emotions"]):
        if emotion not in record["f1_per_emotion"]:  # answered or not, it was never right
            continue
        precision = hits[number] / max(1, matrix[:, number].sum())
        recall = hits[number] / max(1, matrix[number].sum())
        f1 = record["f1_per_emotion"][emotion]
        clips = matrix[number].sum() // len(record["seeds"])
        lines.append(f"{emotion:12}{precision:9.2f}{recall:8.2f}{f1:7.2f}{clips:7}")
    spread = "one speaker, so no interval"
    if record["uar_interval"]:
        low, high = record["uar_interval"]
        spread = f"95 % interval over speakers {low:.1%} to {high:.1%}"
    lines.append(
        f"accuracy {record['accuracy']:.1%}   UAR {record['uar']:.1%} ({spread})   "
        f"ECE {record['ece']:.1%}   (recall is the accuracy of an emotion, UAR its mean)"
    )
    worst, share = min(record["accuracy_per_speaker"].items(), key=lambda item: item[1])
    by_sex = "".join(f", {sex} {value:.1%}" for sex, value in record["uar_by_sex"].items())
    lines.append(
        f"accuracy without the quarter of least certain answers "
        f"{record['accuracy_of_surest']:.1%}; worst speaker {worst} {share:.1%}"
        + (f"; UAR{by_sex[1:]}" if by_sex else "")
    )
    return "\n".join(lines)


def _scores(
    table: "pd.DataFrame",
    asked: "pd.Index",
    answers: list[str],
    emotions: list[str],
    results: list[FoldResult],
) -> dict[str, Any]:
    import pandas as pd

    columns = [emotions.index(emotion) for emotion in answers]
    rows = []
    for result in results:
        probabilities = result.probabilities[:, columns]
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        rows.append(
            pd.DataFrame(
                {
                    "row": result.test,
                    "fold": result.fold,
                    "seed": result.seed,
                    "prediction": np.array(answers)[probabilities.argmax(axis=1)],
                    "confidence": probabilities.max(axis=1),
                }
            )
        )
    said = pd.concat(rows, ignore_index=True)
    said = said.join(table[["emotion", "speaker"]], on="row")
    said = said[said.row.isin(asked)]
    correct = (said.prediction == said.emotion).to_numpy()
    confidence = said.confidence.to_numpy()
    of_seed = said.groupby("seed").indices  # networks of several together err less than each

    per_fold = [
        {"fold": fold, "seed": int(seed), "uar": uar(part.emotion, part.prediction)}
        for (fold, seed), part in said.groupby(["fold", "seed"], sort=False)
    ]
    fold_uars = [entry["uar"] for entry in per_fold]
    matrix = confusion_matrix(said.emotion, said.prediction, answers)
    f1 = f1_per_emotion(said.emotion, said.prediction, answers)
    tested = set(said.emotion)
    per_speaker = said.assign(correct=correct).groupby("speaker").correct.mean()
    return {
        "emotions": answers,
        "folds": int(said.fold.nunique()),
        "seeds": sorted(int(seed) for seed in said.seed.unique()),
        "clips": int(said.row.nunique()),
        "uar": float(uar_of(matrix)),
        "uar_std": float(np.std(fold_uars, ddof=1)) if len(fold_uars) > 1 else 0.0,
        "uar_interval": _bootstrap_interval(said, answers),
        "accuracy": float(correct.mean()),
        "f1_per_emotion": {emotion: f1[emotion] for emotion in answers if emotion in tested},
        "ece": float(np.mean([ece(confidence[rows], correct[rows]) for rows in of_seed.values()])),
        "uar_per_fold": per_fold,
        "accuracy_per_speaker": {name: float(value) for name, value in per_speaker.items()},
        "confusion_matrix": matrix.tolist(),
        "reliability": reliability(confidence, correct),
        "accuracy_of_surest": accuracy_of_surest(confidence, correct),
        "uar_by_sex": _uar_by_sex(said),
    }


def accuracy_of_surest(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the accuracy when the `SET_ASIDE` least certain answers are set aside.

    Args:
        confidence, correct: (clips,) as in `reliability`.
    """
    kept = np.argsort(-confidence, kind="stable")[: math.ceil((1 - SET_ASIDE) * len(confidence))]
    return float(correct[kept].mean())


def _uar_by_sex(said: "pd.DataFrame") -> dict[str, float]:
    """Return the UAR of women and of men, {} where the corpora do not tell of some of both."""
    sexes = said.speaker.map(corpora.sex)
    if sexes.nunique() < 2:
        return {}
    return {
        sex: uar(part.emotion, part.prediction)
        for sex, part in said.groupby(sexes)  # None is left out
    }


def _bootstrap_interval(said: "pd.DataFrame", emotions: list[str]) -> list[float] | None:
    """Return the 95 % interval of the UAR when the speakers are drawn anew; None of only one.

    Speakers, not clips, are the unit: two clips of one voice are not two independent trials.
    """
    if said.speaker.nunique() < 2:
        return None
    matrices = np.stack(
        [
            confusion_matrix(part.emotion, part.prediction, emotions)
            for _, part in said.groupby("speaker")
        ]
    )
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(matrices), size=(BOOTSTRAP_DRAWS, len(matrices)))
    low, high = np.percentile(uar_of(matrices[drawn].sum(axis=1)), [2.5, 97.5])
    return [float(low), float(high)]


def plot_confusion(matrix: np.ndarray, emotions: Sequence[str], file: str | Path) -> None:
    """Draw a confusion matrix as shares of each row, with the counts, into an image file.

    Emotions of which there was no clip have a column alone.
    """
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix)
    there = [number for number, row in enumerate(matrix) if row.any()]
    clips = matrix[there].sum(axis=1, keepdims=True)
    share = matrix[there] / clips
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(emotions)), emotions, rotation=45, ha="right")
    names = [f"{emotions[number]} ({matrix[number].sum()})" for number in there]
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true (number)")
    for row, column in np.ndindex(*share.shape):
        if share[row, column]:
            color = "white" if share[row, column] > 0.5 else "black"
            text = f"{share[row, column]:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    figure.colorbar(image, ax=axes, format=lambda value, _: f"{value:.0%}", shrink=0.8)
    figure.savefig(file, dpi=120, metadata={"Software": None})


def plot_reliability(curve: Sequence[dict[str, float]], file: str | Path) -> None:
    """Draw how often answers of each confidence were right into an image file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="ideal")
    size = [20 + 200 * point["clips"] / max(p["clips"] for p in curve) for point in curve]
    confidence = [point["confidence"] for point in curve]
    right = [point["accuracy"] for point in curve]
    axes.plot(confidence, right, color="tab:blue")
    axes.scatter(confidence, right, s=size, color="tab:blue", label="area: share of clips")
    axes.set(xlabel="confidence", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    figure.savefig(file, dpi=120, metadata={"Software": None})
