"""A kernel machine of functionals: measured right, fair to corpora, silent where all is new."""

import conftest
import keras
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

import features
import functionals
import pitch
from network import N_FEATURES


def raw_frames(clips: int, frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((clips, frames, N_FEATURES)).astype(np.float32)
    raw[..., features.MEL] = 10 ** rng.uniform(-8, 0, (clips, frames, 128))
    raw[..., features.RMS] = rng.uniform(1e-3, 0.3, (clips, frames))
    return raw


def draw(clips: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return functionals and one-hot targets of three emotions, of which the numbers tell."""
    rng = np.random.default_rng(seed)
    emotion = rng.integers(3, size=clips)
    values = rng.normal(0, 2, (clips, 810)) + 50.0
    values[:, :60] += 3.0 * emotion[:, np.newaxis]
    return values.astype(np.float32), np.eye(3, dtype=np.float32)[emotion]


def answer(machine: functionals.Machine, values: np.ndarray) -> np.ndarray:
    """Return what a machine says of functionals: (clips, emotions)."""
    network = machine.network()
    first = next(x for x in network.layers if isinstance(x, keras.layers.Normalization))
    return np.asarray(keras.Model(first.input, network.output)(values.astype(np.float32)))


def test_functionals_are_what_they_are_called() -> None:
    raw = raw_frames(2, 30)
    found = np.asarray(functionals.measuring()(raw))
    assert found.shape == (2, 810)
    for clip, measured in zip(raw, found, strict=True):
        decibel = features.decibel(clip.astype(float))
        mel = decibel[np.newaxis, :, features.MEL].astype(np.float32)
        heard = np.asarray(pitch.contour(mel, np.ones((1, 30, 1), np.float32)))[0]
        frames = np.concatenate([decibel, heard], axis=1)
        level = decibel[:, features.RMS]
        mean = frames.mean(axis=0)
        mean[features.MEL] -= level.mean()
        mean[0] -= level.mean() * 128**0.5
        mean[features.RMS] = 0
        expected = [
            mean,
            frames.std(axis=0),
            np.cov(level, frames.T, bias=True)[0, 1:] / level.std(),
        ]
        np.testing.assert_allclose(measured, np.concatenate(expected), rtol=1e-3, atol=2e-2)


def test_they_do_not_depend_on_the_level() -> None:
    waveform = conftest.speechlike(2.0)
    measure = functionals.measuring()
    found = np.asarray(measure(features.extract_frames(waveform)[np.newaxis]))
    softer = np.asarray(measure(features.extract_frames(waveform / 4)[np.newaxis]))
    np.testing.assert_allclose(softer, found, rtol=1e-3, atol=5e-2)


def test_padding_does_not_change_them() -> None:
    raw = raw_frames(1, 30)
    padded = np.pad(raw, [(0, 0), (0, 20), (0, 0)])
    measure = functionals.measuring()
    np.testing.assert_allclose(np.asarray(measure(padded)), np.asarray(measure(raw)), atol=1e-3)


def test_a_single_frame_has_functionals() -> None:
    assert np.all(np.isfinite(np.asarray(functionals.measuring()(raw_frames(1, 1)))))


def test_it_is_kernel_ridge_regression() -> None:
    values, targets = draw(300)
    machine = functionals.fit(values, targets, ["one"] * 300)
    others, unheard = draw(200, seed=1)

    def points(numbers: np.ndarray) -> np.ndarray:
        inputs = np.clip((numbers - values.mean(axis=0)) / values.std(axis=0), -2, 2)
        return inputs @ machine.projection

    usual = targets.mean(axis=0)
    ridge = KernelRidge(kernel="rbf", gamma=1.0, alpha=0.1).fit(points(values), targets - usual)
    said = answer(machine, others)
    expected = functionals.SAY * ridge.predict(points(others))
    np.testing.assert_allclose(said, expected, atol=0.02)
    assert np.ptp(expected) > 0.5
    assert np.mean(said.argmax(axis=1) == unheard.argmax(axis=1)) > 0.8


def test_some_clips_stand_for_all(monkeypatch) -> None:
    values, targets = draw(400)
    others, unheard = draw(200, seed=1)
    whole = answer(functionals.fit(values, targets, ["one"] * 400), others)
    monkeypatch.setattr(functionals, "LANDMARKS", 200)
    machine = functionals.fit(values, targets, ["one"] * 400)
    assert machine.landmarks.shape == (200, functionals.COMPONENTS)
    said = answer(machine, others)
    assert np.mean(said.argmax(axis=1) == unheard.argmax(axis=1)) > 0.8
    assert np.corrcoef(said.ravel(), whole.ravel())[0, 1] > 0.9


def test_block_by_block_the_same_is_learned(monkeypatch) -> None:
    values, targets = draw(200)
    whole = functionals.fit(values, targets, ["one"] * 200)
    monkeypatch.setattr(functionals, "_BLOCK", 70)
    found = functionals.fit(values, targets, ["one"] * 200)
    others = draw(50, seed=1)[0]
    np.testing.assert_allclose(answer(found, others), answer(whole, others), atol=5e-3)


@pytest.mark.parametrize(
    ("clips", "expected"),
    [((50, 50), (50, 50)), ((30, 500), (30, 70)), ((90, 400, 500), (33, 33, 34))],
)
def test_each_corpus_has_its_part_of_them(clips, expected, monkeypatch) -> None:
    monkeypatch.setattr(functionals, "LANDMARKS", 100)
    number = np.repeat(np.arange(len(clips)), clips)
    drawn = functionals._draw_landmarks(number)
    assert len(np.unique(drawn)) == len(drawn)
    np.testing.assert_array_equal(np.bincount(number[drawn]), expected)


def test_a_large_corpus_does_not_drown_a_small_one() -> None:
    values, targets = draw(100)
    values[:10] += 40.0
    small, large = values[:10].mean(axis=0), values[10:].mean(axis=0)
    machine = functionals.fit(values, targets, ["small"] * 10 + ["large"] * 90)
    np.testing.assert_allclose(machine.mean, (small + 3 * large) / 4, rtol=1e-5)


def test_a_corpus_says_nothing_of_an_emotion_that_it_does_not_know() -> None:
    values, targets = draw(200)
    values[100:] += 40.0  # of another microphone
    corpus = np.repeat(["knows", "does not"], 100)
    targets[100:] = targets[100:] @ np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    asked = answer(functionals.fit(values, targets, corpus), values[100:])
    targets[100:, 2] = -1
    left_open = answer(functionals.fit(values, targets, corpus), values[100:])
    # It is as frequent there as it is: never, and so no less likely than usual.
    np.testing.assert_allclose(left_open[:, 2], 0, atol=0.1)
    np.testing.assert_allclose(asked[:, 2], 0, atol=0.1)
    assert np.ptp(left_open[:, :2]) > 1


def test_far_from_all_that_was_learned_nothing_is_said() -> None:
    values, targets = draw(200)
    machine = functionals.fit(values, targets, ["one"] * 200)
    rng = np.random.default_rng(2)
    directions = machine.projection / np.linalg.norm(machine.projection, axis=0)
    far = np.sign(rng.standard_normal((20, directions.shape[1])) @ directions.T)
    near = answer(machine, draw(20, seed=3)[0])
    said = answer(machine, values.mean(axis=0) + 1e4 * far)
    assert np.abs(said).max() < 0.1 * np.abs(near).max()


@pytest.mark.parametrize("clips", [1, 3])
def test_equal_clips_and_what_never_changes_are_no_fault(clips) -> None:
    values, targets = draw(1)
    machine = functionals.fit(
        np.repeat(values, clips, axis=0), np.repeat(targets, clips, axis=0), ["one"] * clips
    )
    assert np.all(np.isfinite(answer(machine, draw(5, seed=1)[0])))


def test_copies_of_a_clip_are_learned_as_well() -> None:
    """As where recordings were encoded anew: the system that is solved is all but singular."""
    values, targets = draw(10)
    noise = np.random.default_rng(1).normal(0, 2e-3, (200, *values.shape))
    copies = (values + noise).reshape(-1, 810).astype(np.float32)
    machine = functionals.fit(copies, np.tile(targets, (200, 1)), ["one"] * 2000)
    assert np.all(answer(machine, values).argmax(axis=1) == targets.argmax(axis=1))
