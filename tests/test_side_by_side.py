"""Trainings side by side: none is taken for another, and none is lost."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from conftest import TWO_EMOTIONS, extract

import dataset
import files
import protocols
import side_by_side
import training


def test_the_same_clips_with_other_seeds_are_other_trainings() -> None:
    job = SimpleNamespace(epochs=1, folder=Path())
    rows = np.arange(4)
    split = protocols.Split("the model", rows, rows[:0], rows[:0])
    asked = [
        task
        for seed in (0, 1)
        for task in side_by_side.tasks(job, [split, split], seed, scaled_by=rows)
    ]
    assert len({task.file for task in asked}) == len({task.seed for task in asked}) == 4


def test_other_validation_clips_make_another_training() -> None:
    job, rows = SimpleNamespace(epochs=1, folder=Path()), np.arange(6)
    files_ = set()
    for aside, test in ((rows[4:5], rows[5:]), (rows[5:], rows[4:5]), (rows[4:], rows[:0])):
        split = protocols.Split("one", rows[:4], aside, test)
        files_ |= {task.file for task in side_by_side.tasks(job, [split], 0, scaled_by=rows[:4])}
    assert len(files_) == 3
    [scaled_otherwise] = side_by_side.tasks(job, [split], 0, scaled_by=rows)
    assert scaled_otherwise.file not in files_


def finished(folder: Path) -> side_by_side.Task:
    rows = np.arange(2)
    split = protocols.Split("one", rows, rows[:0], rows[:0])
    return side_by_side.Task(split, rows, 0, 1, folder / "one.npz")


def test_a_state_that_outlived_its_training_is_removed(tmp_path) -> None:
    task = finished(tmp_path)
    for file in (task.file, task.state, task.epoch):
        file.touch()
    side_by_side.finish(SimpleNamespace(folder=tmp_path), [task], title="x", jobs=1)
    assert {file.name for file in tmp_path.iterdir()} == {"one.npz", ".lock"}


def ended(monkeypatch, tmp_path, fit) -> side_by_side.Task:
    task = finished(tmp_path)
    job = side_by_side.Job("vector", SimpleNamespace(table=None), TWO_EMOTIONS, 1, tmp_path)
    monkeypatch.setattr(side_by_side, "fit", fit)
    monkeypatch.setattr(dataset.Packed, "open", lambda _: None)
    side_by_side._train(job, tmp_path / "frames.npy", task)
    return task


def test_a_result_that_is_killed_while_written_is_none(tmp_path, monkeypatch) -> None:
    def half(stream, **_: object) -> None:
        stream.write(b"PK")
        raise KeyboardInterrupt

    zeros = np.zeros(1)
    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        ended(monkeypatch, tmp_path, lambda *_, **__: training.Member("vector", zeros, zeros, []))
    assert not (tmp_path / "one.npz").exists()


def test_tensorflow_out_of_memory_is_a_memory_error(tmp_path, monkeypatch) -> None:
    def starve(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(MemoryError, match="OOM"):
        ended(monkeypatch, tmp_path, starve)


def test_material_that_another_training_learns_from_stays(tmp_path) -> None:
    job = SimpleNamespace(folder=tmp_path)
    (tmp_path / side_by_side.PACKED).touch()
    with files.alone(tmp_path / ".lock"):
        side_by_side.discard_material(job)
        assert (tmp_path / side_by_side.PACKED).exists()
    side_by_side.discard_material(job)
    assert not (tmp_path / side_by_side.PACKED).exists()


def test_a_member_learns_its_own_clips_and_answers_for_those_that_it_set_aside(
    corpus, tmp_path, monkeypatch
) -> None:
    found = extract(corpus, tmp_path / "cache", [()])
    rows, learned = np.arange(len(found.table)), []
    split = protocols.Split("one", rows[:4], rows[4:6], rows[6:])
    job = side_by_side.Job("vector", found, TWO_EMOTIONS, 1, tmp_path)
    [task] = side_by_side.tasks(job, [split], 0, scaled_by=rows[:6])

    def spy(kind, table, packed, train, *, scaled_by, **rest) -> training.Member:
        learned.extend([train, scaled_by])
        return training.fit(kind, table, packed, train, scaled_by=scaled_by, **rest)

    monkeypatch.setattr(side_by_side, "fit", spy)
    dataset.pack(found, tmp_path / side_by_side.PACKED)
    side_by_side._train(job, tmp_path / side_by_side.PACKED, task)
    assert [part.tolist() for part in learned] == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    asked = training.clip_inputs("vector", found, split.validation)
    expected = training.logits_of(task.member(), asked)
    assert len(np.unique(expected, axis=0)) == 2
    np.testing.assert_array_equal(task.answers(), expected)
