"""A network file → a function: by LiteRT, or by Keras where LiteRT is not installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gate
import workers
from model_folder import ModelError

#: Raw features, (clips, frames, 264) or (clips, 264, 1) float32 → (clips, emotions) probabilities.
Network = Callable[[np.ndarray], np.ndarray]


def load(folder: Path) -> Network:
    """Return the network of a model folder. It serves one thread at a time.

    Raises:
        ModelError: neither runtime is installed.
    """
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        return _with_keras(folder / "network.keras")
    return _with_litert(interpreter, folder / "network.tflite")


def _with_litert(litert: Any, file: Path) -> Network:
    with workers.without_stderr():  # where XNNPACK, which makes it fast, says that it was found
        interpreter = litert.Interpreter(model_content=file.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
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


def _with_keras(file: Path) -> Network:
    gate.load()  # before TensorFlow, which Keras brings along
    try:
        import keras
    except ImportError:
        raise ModelError(
            "Neither LiteRT nor Keras is installed. Install one: pip install ai-edge-litert"
        ) from None
    network = keras.saving.load_model(file, compile=False, safe_mode=True)
    return lambda network_input: np.asarray(network(network_input, training=False))
