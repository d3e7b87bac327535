"""One training: resumed as if never stopped, fitted on nothing held out, fair to each corpus."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import NOISY, TWO_EMOTIONS, extract, make_table

import dataset
import model_folder
import network
import pitch
import training


def pack(found: dataset.Dataset, file: Path) -> dataset.Packed:
    dataset.pack(found, file)
    return dataset.Packed.open(file)


def test_packed_frames_are_those_of_every_copy_in_decibel(corpus, tmp_path) -> None:
    found = extract(corpus, tmp_path, [(), NOISY])
    packed = pack(found, tmp_path / "frames.npy")
    for copy in range(2):
        for row, clip in enumerate(found.frames(copy)):
            expected = dataset.features.decibel(clip).astype(np.float16)
            np.testing.assert_array_equal(packed.clip(copy, row), expected)
            mel = dataset.features.decibel(clip)[np.newaxis, :, dataset.features.MEL]
            heard = pitch.contour(mel, np.ones((1, len(clip), 1), np.float32))[0]
            np.testing.assert_allclose(packed.contour(copy, row), heard, atol=2e-3)


def weights_of(
    found: dataset.Dataset, state: Path, *, kind: str, stop_after: int = 0, seed: int = 0
) -> list[np.ndarray]:
    rows = np.arange(len(found.table))

    def stop(epoch: int, _: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    member = training.fit(
        kind,
        found.table,
        pack(found, state.with_suffix(".npy")),
        rows[8:],
        scaled_by=rows[8:],
        emotions=TWO_EMOTIONS,
        seed=seed,
        epochs=3,
        state=state,
        on_epoch=stop,
    )
    return [member.mean, member.std, *member.weights]


@pytest.mark.parametrize("kind", ["frames", "vector"])
def test_an_interrupted_training_ends_as_if_never_stopped(kind, corpus, tmp_path) -> None:
    found = extract(corpus, tmp_path / "cache", [(), NOISY])
    straight = weights_of(found, tmp_path / "straight", kind=kind)
    with pytest.raises(KeyboardInterrupt):
        weights_of(found, tmp_path / "state", kind=kind, stop_after=2)
    resumed = weights_of(found, tmp_path / "state", kind=kind)
    assert all(np.array_equal(a, b) for a, b in zip(straight, resumed, strict=True))
    other = weights_of(found, tmp_path / "other", kind=kind, seed=1)
    assert not all(np.array_equal(a, b) for a, b in zip(straight, other, strict=True))


@pytest.mark.parametrize("kind", ["frames", "vector"])
def test_a_trained_network_is_asked_with_kernels_of_half_precision(kind) -> None:
    trained = getattr(network, f"{kind}_body")(2)
    scale = np.ones(264, np.float32)
    body = training.Member(kind, 0 * scale, scale, trained.get_weights()).body()
    shape = (3, 20, 270) if kind == "frames" else (3, 264, 1)
    heard = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_allclose(np.asarray(body(heard)), np.asarray(trained(heard)), atol=5e-3)
    for kernel in body.get_weights():
        assert kernel.ndim == 1 or np.array_equal(kernel.astype(np.float16), kernel)


def test_nothing_is_fitted_on_held_out_clips(corpus, tmp_path) -> None:
    """Clips that are not trained on may hold anything: the network stays the same."""
    found = extract(corpus, tmp_path / "cache", [(), NOISY])
    before = weights_of(found, tmp_path / "one", kind="frames")
    # The first chunk is the first voice: its sounds and its copies are spoiled.
    for copy in found.copies:
        with np.load(copy[0]) as arrays:
            content = dict(arrays)
        assert len(content["lengths"]) == 4
        content["frames"] = content["frames"] * 7 + 1
        with copy[0].open("wb") as file:
            np.savez(file, **content)
    after = weights_of(found, tmp_path / "two", kind="frames")
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_an_emotion_that_a_corpus_does_not_know_is_not_counted_against_it() -> None:
    table = pd.DataFrame(
        {
            "emotion": ["angry", "sad", "calm", "angry", "sad", "sad"],
            "corpus": ["A", "A", "A", "B", "B", "C"],
        }
    )
    emotions = ["angry", "calm", "sad"]
    targets = training.label_targets(table, emotions, np.arange(5))
    assert targets.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, -1, 0], [0, -1, 1], [0, 0, 1]]
    table.loc[4, "emotion"] = "neutral"
    targets = training.label_targets(table, ["angry", "calm", "neutral", "sad"], np.arange(5))
    assert targets[4].tolist() == [0, 0, 1, -1]  # calm speech would have been called neutral
    targets = training.label_targets(table.replace("neutral", "sad"), emotions, np.arange(5))
    sure_of_calm = np.array([[0.0, 9.0, 0.0]], np.float32)
    losses = [float(training.cross_entropy(targets[[row]], sure_of_calm)[0]) for row in (0, 3)]
    assert losses[0] > 8
    assert losses[1] == pytest.approx(np.log(2), rel=1e-3)
    # Nor does such an emotion move the temperature.
    certain = np.array([[2.0, 99.0, 0.0], [0.0, 99.0, 2.0]])
    assert training.fit_temperature(certain, targets[3:5]) < 0.1


def test_every_corpus_has_its_share_of_an_epoch() -> None:
    parts = [np.arange(100), np.arange(100, 1000)]
    drawn = training._draw_rows(parts, np.random.default_rng(0))
    assert len(drawn) == 1000
    assert np.sum(drawn < 100) == 250
    heard = np.bincount(drawn)
    assert (heard[:100].min(), heard[:100].max()) == (2, 3)
    assert heard[100:].max() == 1
    corpus = np.array(["A", "B", "A", "B", "B"])
    partner = training._partners(corpus, np.random.default_rng(0))
    assert (corpus[partner] == corpus).all()
    assert sorted(partner) == list(range(5))


def test_a_voice_is_centred_by_how_it_differs_from_others(monkeypatch) -> None:
    table = pd.DataFrame(
        [
            ("low", "calm", "speech", -1.0),
            ("low", "neutral", "speech", 1.0),
            ("low", "angry", "speech", 12.0),
            ("high", "calm", "speech", 3.0),
            ("high", "neutral", "speech", 5.0),
            ("high", "calm", "song", 60.0),
            ("held out", "calm", "speech", 90.0),
        ],
        columns=["speaker", "emotion", "channel", "level"],
    ).assign(corpus="one")
    frames = np.repeat(table.level.to_numpy(np.float16), 10)[:, np.newaxis].repeat(264, axis=1)
    starts = np.arange(0, len(frames) + 1, 10)[np.newaxis]
    packed = dataset.Packed(frames, np.zeros((len(frames), pitch.N_PITCH)), starts)
    material = training._Material("frames", table, packed, np.arange(6), np.arange(6))
    assert material.quiet == pytest.approx((1 + 3) / 2)  # calm speech and neutral speech
    monkeypatch.setattr(training, "CENTRE_CLIPS", 20_000)
    rng = np.random.default_rng(0)
    for share, low, high in ((1.0, 0 - 2, 4 - 2), (0.0, 12 / 3 - 80 / 6, 68 / 3 - 80 / 6)):
        monkeypatch.setattr(training, "QUIET_SHARE", share)
        assert material._draw_centre("low", rng) == pytest.approx(low, abs=0.5)
        assert material._draw_centre("high", rng) == pytest.approx(high, abs=0.5)


def test_without_quiet_speech_the_mean_stands_for_it(corpus, tmp_path) -> None:
    packed = pack(extract(corpus, tmp_path, [()]), tmp_path / "frames.npy")
    table = extract(corpus, tmp_path, [()]).table
    rows = np.arange(len(table))
    material = training._Material("frames", table, packed, rows, rows)
    np.testing.assert_array_equal(material.quiet, material.mean)


def test_a_feature_that_never_changed_is_not_blown_up(corpus, tmp_path) -> None:
    packed = pack(extract(corpus, tmp_path, [()]), tmp_path / "frames.npy")
    frames = np.array(packed.frames)
    frames[:, 7] = 3.0
    table = extract(corpus, tmp_path, [()]).table
    rows = np.arange(len(table))
    still = dataset.Packed(frames, packed.pitch, packed.starts)
    material = training._Material("frames", table, still, rows, rows)
    assert material.std[7] == 1
    frontend = training.network.frames_frontend(material.mean, material.std)
    found = np.asarray(frontend(np.full((1, 1, 264), 4.25, np.float32)))
    assert found[0, 0, 7] == pytest.approx(1.25)


@pytest.mark.parametrize("column", ["emotion", "speaker", "corpus", "channel"])
def test_what_a_training_learned_goes_by_another_name_if_a_label_changes(
    column, corpus, tmp_path
) -> None:
    found = extract(corpus, tmp_path, [()])
    name = training.run_key("frames", found, TWO_EMOTIONS, epochs=1)
    assert name == training.run_key("frames", found, TWO_EMOTIONS, epochs=1)
    found.table.loc[0, column] = "another"
    assert name != training.run_key("frames", found, TWO_EMOTIONS, epochs=1)


def test_the_temperature_calibrates() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4000, 3))
    drawn = [rng.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in logits]
    targets = np.eye(3)[drawn]
    assert training.fit_temperature(logits, targets) == pytest.approx(1.0, abs=0.1)
    assert training.fit_temperature(5 * logits, targets) == pytest.approx(5.0, abs=0.5)


ONE = ((Path("a.npz"),),)


def run_name(copies=ONE, kind="frames", emotions=TWO_EMOTIONS, epochs=1) -> str:
    found = dataset.Dataset(make_table(2, 2), copies)
    return training.run_key(kind, found, emotions, epochs=epochs)


def test_what_decides_a_training_decides_its_name(monkeypatch) -> None:
    names = {
        run_name(),
        run_name(kind="vector"),
        run_name(epochs=2),
        run_name(((Path("b.npz"),),)),
        run_name(emotions=TWO_EMOTIONS[::-1]),
    }
    assert len(names) == 5
    monkeypatch.setattr(model_folder, "versions", lambda: {"keras": "4"})
    assert run_name() not in names


@pytest.mark.parametrize(
    "module",
    ["dataset", "distort", "features", "leaning", "network", "pitch", "side_by_side", "training"],
)
def test_another_recipe_meets_no_training_of_this_one(module, monkeypatch) -> None:
    name, read = run_name(), Path.read_bytes

    def changed(file: Path) -> bytes:
        return read(file) + (b"# changed" if file.name == f"{module}.py" else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert run_name() != name


def levels(*copies: float) -> tuple[pd.DataFrame, dataset.Packed]:
    """Two clips of 200 frames in some copies, whose every number is the level of its copy."""
    table = make_table(2, 1).assign(emotion=["angry", "sad"])
    frames = np.repeat(np.array(copies, np.float16), 400)[:, np.newaxis]
    starts = np.array([[0, 200, 400]]) + 400 * np.arange(len(copies))[:, np.newaxis]
    return table, dataset.Packed(
        frames.repeat(264, axis=1), frames.repeat(pitch.N_PITCH, axis=1), starts
    )


def plain(monkeypatch) -> None:
    """Leave out all that changes a clip while it is learned."""
    for name in ("CENTRED_SHARE", "MIXUP_SHARE"):
        monkeypatch.setattr(training, name, 0.0)
    monkeypatch.setattr(training, "amplify", lambda crop, _: crop.copy())
    monkeypatch.setattr(training, "mask", lambda *_: None)


def test_every_copy_is_learned_with_its_own_pitch(monkeypatch) -> None:
    plain(monkeypatch)
    table, packed = levels(0.0, 0.5, 1.0)
    rows = np.arange(2)
    material = training._Material("frames", table, packed, rows, rows)
    drawn = [
        inputs[:, 0] for epoch in range(20) for inputs, _ in material.batches(np.eye(2), [0, epoch])
    ]
    drawn = np.concatenate(drawn)
    np.testing.assert_allclose(drawn[:, 0], drawn[:, -1], atol=1e-3)  # mean 0, deviation 1
    assert set(drawn[:, -1]) == {0.0, 0.5, 1.0}


def test_labels_are_mixed_as_the_clips_are(monkeypatch) -> None:
    plain(monkeypatch)
    monkeypatch.setattr(training, "MIXUP_SHARE", 1.0)
    table, packed = levels(0.0)
    packed.pitch[:200] = 1.0
    rows = np.arange(2)
    material = training._Material("frames", table, packed, rows, rows)
    mixed = False
    for epoch in range(20):
        for inputs, labels in material.batches(np.eye(2, dtype=np.float32), [0, epoch]):
            np.testing.assert_allclose(inputs[:, 0, -1], labels[:, 0], atol=1e-6)
            mixed |= bool(np.any((labels > 0.01) & (labels < 0.99)))
    assert mixed


def test_no_epoch_and_no_seed_draws_as_another(monkeypatch, tmp_path) -> None:
    asked = []
    monkeypatch.setattr(
        training, "_learn", lambda _, batches, *__: [list(batches(epoch)) for epoch in range(2)]
    )
    monkeypatch.setattr(
        training._Material, "batches", lambda _, __, seed: asked.append(tuple(seed)) or []
    )
    table, packed = levels(0.0)
    rows = np.arange(2)
    for seed in (0, 1):
        training.fit(
            "vector",
            table,
            packed,
            rows,
            scaled_by=rows,
            emotions=TWO_EMOTIONS,
            seed=seed,
            epochs=2,
            state=tmp_path / "state",
        )
    assert len(set(asked)) == 4


def learn(state: Path, epochs: int) -> list[np.ndarray]:
    keras.utils.set_random_seed(0)
    body = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    body.compile(
        keras.optimizers.AdamW(0.1, use_ema=True, ema_momentum=1.0, ema_overwrite_frequency=None),
        training.cross_entropy,
    )
    batch = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)
    training._learn(body, lambda _: iter([batch]), epochs, state, None)
    return body.get_weights()


def test_a_training_ends_with_the_average_of_its_weights(tmp_path) -> None:
    # An average that takes nothing new stays what the first step made.
    for one, other in zip(learn(tmp_path / "a", 1), learn(tmp_path / "b", 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_kill_while_the_state_is_written_costs_one_epoch(tmp_path, monkeypatch) -> None:
    straight = learn(tmp_path / "straight", 3)
    savez = np.savez

    def half(file, *, epoch: int, **arrays: np.ndarray) -> None:
        if epoch == 2:
            file.write(b"PK")
            raise KeyboardInterrupt
        savez(file, epoch=epoch, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half)
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path / "state", 3)
    for one, other in zip(straight, learn(tmp_path / "state", 3), strict=True):
        np.testing.assert_array_equal(one, other)
