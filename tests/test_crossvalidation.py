"""The folds of a protocol: fitted on nothing that is tested, and as sure as they are right."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import NOISY, TWO_EMOTIONS, extract, make_table
from scipy.special import softmax

import crossvalidation
import dataset
import familiarity
import leaning
import protocols
import side_by_side
import training


def test_no_test_clip_has_a_part_in_a_training(tmp_path, monkeypatch) -> None:
    table = make_table(40, 8)
    job = side_by_side.Job("frames", SimpleNamespace(table=table), TWO_EMOTIONS, 1, tmp_path)
    asked = []

    def look(_, tasks, **__) -> None:
        asked.extend(tasks)
        raise KeyboardInterrupt

    monkeypatch.setattr(side_by_side, "finish", look)
    with pytest.raises(KeyboardInterrupt):
        crossvalidation.run(job, "speaker", folds=2, seeds=[0, 1], jobs=1)
    members = training.MEMBERS["frames"]
    assert len(asked) == 2 * 2 * members
    for task in asked:
        learned = np.union1d(task.split.train, task.split.validation)
        np.testing.assert_array_equal(task.scaled_by, learned)
        np.testing.assert_array_equal(np.setdiff1d(np.arange(len(table)), learned), task.split.test)
    assert len({task.split.validation.tobytes() for task in asked}) == len(asked)
    assert len({task.seed for task in asked}) == 2 * members  # of both folds the same
    assert len({task.file for task in asked}) == len(asked)


def test_recordings_that_are_tested_do_not_become_familiar() -> None:
    table = make_table(6, 8)
    table["emotion"] = np.where(np.arange(48) % 2, "sad", "angry")
    rng = np.random.default_rng(0)
    averages, functionals = rng.standard_normal((48, 264)), rng.standard_normal((48, 810))
    parts = np.split(np.arange(48), [24, 32])
    task = SimpleNamespace(split=protocols.Split("one", *parts))

    def fitted() -> tuple:
        job = SimpleNamespace(
            kind="frames",
            dataset=SimpleNamespace(table=table),
            emotions=list(TWO_EMOTIONS),
            averages=averages,
            functionals=functionals,
        )
        ensemble = crossvalidation._ensemble(job, [task], 1.0)
        assert ensemble.machine is not None
        machine = [part.tolist() for part in ensemble.machine]
        return ensemble.familiar, ensemble.averages, machine

    before = fitted()
    averages[24:] += 9.0  # what is set aside or tested
    functionals[24:] += 9.0
    table.loc[24:, "emotion"] = "sad"
    assert fitted() == before
    averages[:24] += 9.0
    functionals[:24] *= 2.0
    assert all(now != then for now, then in zip(fitted(), before, strict=True))


def test_a_fold_is_asked_with_its_own_temperature_and_doubt(tmp_path, monkeypatch) -> None:
    table = make_table(6, 8)
    table["emotion"] = np.where(np.arange(48) % 2, "sad", "angry")
    averages = np.random.default_rng(0).standard_normal((48, 264))
    job = SimpleNamespace(
        kind="vector",
        dataset=SimpleNamespace(table=table),
        emotions=list(TWO_EMOTIONS),
        averages=averages,
        epochs=1,
        folder=tmp_path,
    )
    monkeypatch.setattr(side_by_side, "finish", lambda *_, **__: None)
    monkeypatch.setattr(crossvalidation, "_temperature", lambda *_: 7.0)
    monkeypatch.setattr(
        crossvalidation.Ensemble,
        "probabilities",
        lambda _, rows: np.tile([0.9, 0.1], (len(rows), 1)),
    )
    monkeypatch.setattr(familiarity, "strangeness", lambda means, _: np.ones(len(means)))
    for fold in crossvalidation.run(job, "speaker", folds=2, seeds=[0], jobs=1):
        assert fold.ensemble.temperature == 7.0
        expected = familiarity.doubt(np.array([0.9, 0.1]), 1.0)
        np.testing.assert_allclose(fold.result.probabilities, np.tile(expected, (24, 1)))


@pytest.mark.parametrize("strange", [0.0, 0.5, 1.0])
def test_what_a_fold_says_is_what_the_classifier_says(strange, corpus, cache, monkeypatch) -> None:
    """The figures of an evaluation come from the same path as an answer on the page."""
    monkeypatch.setattr(
        familiarity, "strangeness", lambda means, _: np.full(means.shape[:-1], strange)
    )
    found = extract(corpus, cache / "features", [(), NOISY])
    for kind in ("frames", "vector"):
        folder = cache / kind
        folder.mkdir()
        job = side_by_side.Job(kind, found, TWO_EMOTIONS, 1, folder)
        fold, _ = crossvalidation.run(job, "speaker", folds=2, seeds=[0], jobs=1)
        heard = fold.ensemble.classifier()
        for row, told in list(zip(fold.result.test, fold.result.probabilities, strict=True))[:3]:
            answer = heard.classify(found.table.path[row]).probabilities
            np.testing.assert_allclose(list(answer.values()), told, atol=1e-5)


def test_after_speaker_folds_the_model_learns_from_every_clip(corpus, cache) -> None:
    found = extract(corpus, cache / "features", [()])
    job = side_by_side.Job("vector", found, TWO_EMOTIONS, 2, cache)
    folds = crossvalidation.run(job, "speaker", folds=2, seeds=[0], jobs=1)
    ensemble = crossvalidation.train_final(job, folds, seed=0, jobs=1)
    logs = [np.log(fold.ensemble.temperature) for fold in folds]
    assert ensemble.temperature == pytest.approx(np.exp(np.mean(logs)))
    assert len(ensemble.members()) == training.MEMBERS["vector"]
    vectors = [dataset.features.vector_of_sound(clip) for clip in found.frames(0)]
    mean = dataset.features.decibel(np.array(vectors)).mean(axis=0)
    member = ensemble.members()[0]
    assert np.max(np.abs(member.mean - mean) / member.std) < 2e-2
    at_the_mean = dataset.features.linear(mean[np.newaxis])[..., np.newaxis]
    np.testing.assert_allclose(member.frontend()(at_the_mean), 0, atol=2e-2)


def test_clips_that_are_set_aside_from_the_model_do_not_scale_its_features(corpus, cache) -> None:
    found = extract(corpus, cache / "features", [()])
    job = side_by_side.Job("vector", found, TWO_EMOTIONS, 1, cache)
    ensemble = crossvalidation.train_final(job, [], seed=0, jobs=1)
    assert 0 < len(ensemble.train) < len(found.table)
    member = ensemble.members()[0]
    vectors = np.array([dataset.features.vector_of_sound(clip) for clip in found.frames(0)])
    decibel = dataset.features.decibel(vectors)
    learned, heard = decibel[ensemble.train].mean(axis=0), decibel.mean(axis=0)
    assert np.max(np.abs(member.mean - learned) / member.std) < 2e-2
    assert np.max(np.abs(member.mean - heard) / member.std) > 1e-1


def test_what_is_usual_counts_corpora_and_emotions_alike(monkeypatch) -> None:
    rows = [
        ("one", "angry", "speech", 2.0),
        ("one", "calm", "speech", 4.0),
        ("one", "calm", "speech", 6.0),
        ("one", "calm", "song", 90.0),
        ("one", "neutral", "song", 8.0),
        ("two", "angry", "speech", 10.0),
        ("two", "neutral", "speech", 20.0),
        ("two", "neutral", "speech", 0.0),
        ("two", "angry", "speech", 99.0),  # not learned from
    ]
    table = pd.DataFrame(rows, columns=["corpus", "emotion", "channel", "logit"])
    said = softmax(np.stack([table.logit, np.zeros(9)], axis=1), axis=1)

    def usual_of(train: np.ndarray) -> dict[str, list[float]]:
        job = side_by_side.Job("frames", SimpleNamespace(table=table), TWO_EMOTIONS, 1, Path())
        ensemble = crossvalidation.Ensemble(job, train, [], 1.0, [], {}, None)
        return ensemble.usual_answers()

    monkeypatch.setattr(crossvalidation.Ensemble, "probabilities", lambda _, rows: said[rows])
    usual = usual_of(np.arange(8))
    odds = {name: logs[0] - logs[1] for name, logs in usual.items()}
    assert odds["all"] == pytest.approx(((2 + 5 + 8) / 3 + (10 + 10) / 2) / 2, abs=1e-3)
    quiet = ((5 + 8) / 2 + 10) / 2
    expected = odds["all"] + leaning.UNHEARD_SHARE * (quiet - odds["all"])
    assert odds["quiet"] == pytest.approx(expected, abs=1e-3)
    usual = usual_of(np.array([0, 5]))  # nobody is calm or neutral
    assert usual["quiet"] == usual["all"]


def answered(table: pd.DataFrame, answers: np.ndarray, members: int = 1) -> float:
    """Return the temperature of members that said this of all clips, and learned from all."""
    job = SimpleNamespace(
        kind="frames", dataset=SimpleNamespace(table=table), emotions=list(TWO_EMOTIONS)
    )
    rows = np.arange(len(table))
    split = protocols.Split("one", rows, rows, rows[:0])
    tasks = [
        SimpleNamespace(split=split, answers=lambda part=part: part)
        for part in np.split(answers, members)
    ]
    return crossvalidation._temperature(job, tasks) / training.TOGETHER["frames"]


def drawn(clips: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return clips of a voice each, and logits that are as sure as they are right."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((clips, 2))
    emotion = [rng.choice(TWO_EMOTIONS, p=np.exp(row) / np.exp(row).sum()) for row in logits]
    table = pd.DataFrame({"corpus": "large", "channel": "speech", "emotion": emotion})
    return table.assign(speaker=np.arange(clips)), logits


def test_the_temperature_is_what_the_members_make_of_speech() -> None:
    table, logits = drawn(2600)
    table.loc[:299, "channel"] = "song"
    sure = np.where(table.channel == "song", 100.0, 3.0)[:, np.newaxis]
    both = np.concatenate([logits * sure, logits * sure])
    assert answered(table, both, 2) == pytest.approx(3.0, rel=0.15)
    # A member that is too sure costs more than one that is too modest.
    uneven = np.concatenate([0.5 * logits * sure, 2 * logits * sure])
    assert answered(table, uneven, 2) > 1.1 * answered(table, both, 2)
    # Ten voices have half of a say, what is usual the other half.
    table["speaker"] %= 10
    halfway = (3.0 * training.USUAL_TEMPERATURE["frames"]) ** 0.5
    assert answered(table, both, 2) == pytest.approx(halfway, rel=0.15)


def test_song_alone_and_few_clips_say_what_they_can() -> None:
    table, logits = drawn(600)
    assert answered(table.assign(channel="song"), 3 * logits) > 1.5
    # However many voices they are of, six clips say next to nothing.
    assert answered(table[:6], 10 * logits[:6]) == pytest.approx(1.15, rel=0.06)


def test_the_corpora_have_their_say_by_their_speech() -> None:
    table, logits = drawn(2600)
    table.loc[:599, "corpus"] = "small"
    sure = np.where(table.corpus == "small", 9.0, 3.0)[:, np.newaxis]
    spoken = answered(table, logits * sure)
    assert 3.0 < spoken < 9.0
    # Song beside speech of its own corpus has none; where it is all there is, it does.
    table.loc[:299, "channel"] = "song"
    assert 2.5 < answered(table, logits * sure) < spoken
    table.loc[:599, "channel"] = "song"
    assert answered(table, logits * sure) == pytest.approx(spoken)


def test_ten_clips_that_are_surely_right_change_nothing() -> None:
    table, logits = drawn(3000)
    small = table[:10].assign(corpus="small", emotion=list(TWO_EMOTIONS) * 5)
    right = 100.0 * pd.get_dummies(small.emotion)[list(TWO_EMOTIONS)].to_numpy(float)
    found = answered(
        pd.concat([table, small], ignore_index=True), np.concatenate([2 * logits, right])
    )
    assert found == pytest.approx(2.0, rel=0.15)


def test_a_corpus_of_one_emotion_has_no_say_in_the_temperature() -> None:
    table, logits = drawn(3000)
    small = pd.DataFrame({"corpus": "small", "channel": "speech", "emotion": ["sad"] * 100})
    small["speaker"] = np.arange(3000, 3100)
    wrong = np.tile([100.0, -100.0], (100, 1))
    found = answered(
        pd.concat([table, small], ignore_index=True), np.concatenate([2 * logits, wrong])
    )
    assert found == pytest.approx(answered(table, 2 * logits))
    assert answered(small, wrong) == pytest.approx(training.USUAL_TEMPERATURE["frames"])
