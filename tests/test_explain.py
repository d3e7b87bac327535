"""Why the classifier says so: what is hidden counts where it was heard, numbers as in training."""

import numpy as np
import pytest
from conftest import NOISY, ROOT, TWO_EMOTIONS, extract, speechlike, wav
from hypothesis import given, settings
from hypothesis import strategies as some

import audio
import explain
import features
import side_by_side
import training
from audio import SAMPLE_RATE
from classifier import EmotionClassifier

KINDS = ("frames", "vector")
MEAN_LOUDNESS = -60.0  # dB, of the stub's training


def stub(kind: str) -> EmotionClassifier:
    """A classifier that hears anger in loudness and nothing else."""
    mean = np.zeros(264)
    mean[features.MEL] = mean[features.RMS] = MEAN_LOUDNESS
    manifest = {
        "labels": list(TWO_EMOTIONS),
        "network": kind,
        "pause_db": features.PAUSE_DB,
        "normalisation": {"mean": mean.tolist(), "std": np.ones(264).tolist()},
    }

    def run(shown: np.ndarray) -> np.ndarray:
        frames = shown if kind == "frames" else shown.swapaxes(1, 2)
        loudness = frames[:, :, features.RMS].mean(axis=1)
        angry = loudness / (loudness + 10 ** (MEAN_LOUDNESS / 20))
        return np.stack([angry, 1 - angry], axis=1)

    return EmotionClassifier(manifest, run)


def strange_to(known: EmotionClassifier) -> EmotionClassifier:
    """The same classifier, to which every recording is strange."""
    return EmotionClassifier(
        known.manifest
        | {
            "familiar": [{"mean": [0.0] * 40, "whitening": np.eye(40).tolist(), "far": 1.0}],
            "averages": {
                "mean": [0.0] * 264,
                "std": [1.0] * 264,
                "weights": np.random.default_rng(0).normal(0, 0.1, (264, 8)).tolist(),
                "bias": [0.0] * 8,
            },
        },
        known._run,
    )


def noise(seconds: float) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))
    return (3e-3 * samples).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(begin=some.floats(0.1, 2.0))
def test_the_probability_falls_where_what_decided_it_is_hidden(kind, begin) -> None:
    waveform = noise(3)
    burst = slice(round(begin * SAMPLE_RATE), round((begin + 0.4) * SAMPLE_RATE))
    waveform[burst] *= 20
    found = explain.occlude(stub(kind), waveform)
    falls = found.falls(0)
    strongest = np.argmax(falls)
    assert found.starts[strongest] > begin - 0.1
    assert found.ends[strongest] < begin + 0.5
    # A frame is 93 ms long: up to half of it before and after the burst hears it.
    away = (found.ends < begin - 0.05) | (found.starts > begin + 0.45)
    assert away.any()
    assert falls[away].max() < 0.2 * falls[strongest]
    np.testing.assert_allclose(found.falls(1), -falls, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_hiding_everything_leaves_the_empty_answer(kind) -> None:
    found = explain.occlude(stub(kind), noise(0.2))
    assert (len(found.starts), found.starts[0]) == (1, 0)
    assert found.ends[0] == pytest.approx(0.2, abs=0.01)
    np.testing.assert_allclose(found.hidden, [[0.5, 0.5]], atol=1e-6)  # as loud as the mean
    assert found.falls(0)[0] == pytest.approx(found.whole[0] - 0.5, abs=1e-6)


def test_what_is_hidden_slides_over_the_sound_and_not_over_the_silence_around_it() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    found = explain.occlude(stub("frames"), np.concatenate([silence, noise(2), silence]))
    assert found.starts[0] == pytest.approx(1, abs=0.12)  # two frames of silence are kept
    assert found.ends[-1] == pytest.approx(3, abs=0.12)
    np.testing.assert_allclose(found.ends - found.starts, 0.3, atol=0.02)
    assert (found.starts[1:] < found.ends[:-1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shipped_model_says_the_same_here_as_elsewhere(kind, monkeypatch) -> None:
    plain = EmotionClassifier.load(ROOT / "model" / kind)
    waveform = speechlike(1.5)
    batched = explain.occlude(plain, waveform)
    assert batched.hidden.shape == (len(batched.starts), 8)
    monkeypatch.setattr(explain, "BATCH", 1)
    np.testing.assert_allclose(batched.hidden, explain.occlude(plain, waveform).hidden, atol=1e-5)

    known = plain.adapted_to([wav(6, seed=1)])
    for classifier in (plain, known, strange_to(plain)):
        expected = list(classifier.classify_waveform(waveform).probabilities.values())
        np.testing.assert_allclose(explain.occlude(classifier, waveform).whole, expected, atol=1e-6)
    assert not np.allclose(batched.whole, explain.occlude(known, waveform).whole)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_on_the_scale_of_the_averages_of_training(kind, corpus, tmp_path) -> None:
    found = extract(corpus, tmp_path, [(), NOISY])
    job = side_by_side.Job(kind, found, TWO_EMOTIONS, 1, tmp_path)
    means = training.emotion_means(job.averages, found.table, TWO_EMOTIONS)
    assert means.shape == (2, 264)
    for emotion, mean in zip(TWO_EMOTIONS, means, strict=True):
        paths = found.table.path[found.table.emotion == emotion]
        clips = [explain.numbers(stub(kind), audio.load(path)) for path in paths]
        np.testing.assert_allclose(mean, np.mean(clips, axis=0), rtol=1e-4, atol=1e-4)
    louder = means[0, features.RMS] - means[1, features.RMS]
    assert louder == pytest.approx(20, abs=0.1)  # dB: one is the other times 10


def test_averages_are_read_where_they_are(tiny_model) -> None:
    assert explain.emotion_means(EmotionClassifier.load(tiny_model)).shape == (8, 264)
    assert explain.emotion_means(stub("frames")) is None


def test_distances_are_in_standard_deviations_group_by_group() -> None:
    classifier = stub("vector")
    classifier.manifest["normalisation"]["std"] = [2.0] * 264
    means = np.zeros((2, 264))
    means[1, features.FEATURE_GROUPS[-1]] = [2, -2, 2, -2]
    standard = explain.standardise(classifier, means)
    clip = explain.standardise(classifier, np.zeros(264))
    distances = explain.group_distances(clip, standard)
    assert distances.shape == (len(features.FEATURE_GROUPS), 2)
    np.testing.assert_array_equal(distances[:, 0], 0)
    np.testing.assert_array_equal(distances[:, 1], [0, 0, 0, 0, 0, 1])
