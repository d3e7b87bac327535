"""The networks: the original's layers, padding that changes nothing, files that load safely."""

import keras
import numpy as np
import pytest
from keras import layers

import features
import functionals
import network
import pitch

EMOTIONS = 8


def random_frames(clips: int, frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((clips, frames, network.N_FEATURES)).astype(np.float32)


def test_vector_is_the_original_layer_by_layer() -> None:
    body = network.vector_body(EMOTIONS)
    assert body.input_shape == (None, 264, 1)
    found = [
        (type(layer).__name__, getattr(layer, "filters", None) or getattr(layer, "rate", None))
        for layer in body.layers[1:]
    ]
    assert found == [
        ("Conv1D", 256),
        ("Conv1D", 128),
        ("Dropout", 0.1),
        ("MaxPooling1D", None),
        ("Conv1D", 128),
        ("Conv1D", 128),
        ("Dropout", 0.5),
        ("Flatten", None),
        ("Dense", None),
    ]
    convolutions = [layer for layer in body.layers if isinstance(layer, layers.Conv1D)]
    assert {layer.kernel_size for layer in convolutions} == {(5,)}
    assert {layer.activation.__name__ for layer in convolutions} == {"relu"}
    assert [layer.padding for layer in convolutions] == ["same", "valid", "valid", "valid"]
    assert convolutions[0].kernel_regularizer is None
    for layer in convolutions[1:]:
        assert float(layer.kernel_regularizer.l1) == pytest.approx(1e-5)
        assert float(layer.kernel_regularizer.l2) == pytest.approx(1e-4)
    assert body.layers[4].pool_size == (8,)
    assert body.layers[-1].units == EMOTIONS


def test_frames_frontend_standardises_and_compresses() -> None:
    mean, std = np.linspace(-3, 3, 264), np.linspace(1, 3, 264)
    raw = np.abs(random_frames(1, 5)) + 0.1
    found = np.asarray(network.frames_frontend(mean, std)(raw))
    decibel = features.decibel(raw[0].astype(float))[np.newaxis]
    standardised = (decibel - mean) / std
    expected = np.clip(standardised, -network.ASKED_LIMIT, network.ASKED_LIMIT)
    np.testing.assert_allclose(found[..., :264], expected, rtol=1e-4, atol=1e-4)
    mel = decibel[..., features.MEL].astype(np.float32)
    heard = np.asarray(pitch.contour(mel, np.ones((1, 5, 1), np.float32)))
    np.testing.assert_allclose(found[..., 264:], heard, rtol=1e-4, atol=1e-4)
    assert 0.1 < np.mean(expected == standardised) < 0.9


def test_vector_frontend_standardises_and_compresses() -> None:
    mean, std = np.arange(264.0), np.linspace(1, 3, 264)
    raw = np.abs(random_frames(3, 1)) + 0.1
    found = np.asarray(network.vector_frontend(mean, std)(raw.swapaxes(1, 2)))
    standardised = (features.decibel(raw[:, 0].astype(float)) - mean) / std
    expected = np.clip(standardised, -network.LIMIT, network.LIMIT)[..., np.newaxis]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # But for the limit, as `frames` sees a single frame.
    frame = np.asarray(network.frames_frontend(mean, std)(raw))[..., :264].swapaxes(1, 2)
    asked = np.clip(found, -network.ASKED_LIMIT, network.ASKED_LIMIT)
    np.testing.assert_allclose(asked, frame, rtol=1e-5, atol=1e-5)


def test_padding_does_not_change_a_clip() -> None:
    keras.utils.set_random_seed(1)
    body = network.frames_body(EMOTIONS)
    joined = network.join(
        network.frames_frontend(np.zeros(264), np.ones(264)), [body], temperature=1.0
    )
    raw = np.abs(random_frames(1, 61))
    padded = np.pad(raw, [(0, 0), (0, 40), (0, 0)])
    np.testing.assert_allclose(np.asarray(joined(padded)), np.asarray(joined(raw)), atol=1e-5)


def test_folded_a_network_says_the_same() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    trained = network.frames_body(EMOTIONS)
    for layer in trained.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    folded = network.frames_body(EMOTIONS, folded=True)
    folded.set_weights(network.fold(trained.get_weights()))
    heard = rng.standard_normal((2, 30, 270)).astype(np.float32)
    expected = np.asarray(trained(heard))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(np.asarray(folded(heard)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["frames", "vector"])
def test_a_joined_network_gives_probabilities_and_loads_in_safe_mode(kind, tmp_path) -> None:
    bodies = [getattr(network, f"{kind}_body")(EMOTIONS) for _ in range(2)]
    frontend = getattr(network, f"{kind}_frontend")(np.zeros(264), np.ones(264))
    values = np.random.default_rng(0).standard_normal((50, 810))
    targets = np.eye(EMOTIONS)[np.arange(50) % EMOTIONS]
    machine = functionals.fit(values, targets, ["one"] * 50)
    beside = machine.network() if kind == "frames" else None
    joined = network.join(frontend, bodies, temperature=2.0, beside=beside)
    raw = np.abs(random_frames(2, 30)) if kind == "frames" else random_frames(2, 1).swapaxes(1, 2)
    probabilities = np.asarray(joined(raw))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    logits = np.mean([np.asarray(body(frontend(raw))) for body in bodies], axis=0) / 2.0
    if beside is not None:
        logits += np.asarray(beside(raw))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)
    joined.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(raw)), probabilities)
