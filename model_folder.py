"""A model folder: how it is written in one step, and read only if it is whole.

`network.keras` is the truth, `network.tflite` its twin for LiteRT; `manifest.json` says what they
are, and holds the SHA-256 of every file that decides an answer.
"""

import copy
import ctypes
import errno
import json
import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import features
import files
from audio import SAMPLE_RATE

if TYPE_CHECKING:
    import keras
    import pandas as pd

MANIFEST = "manifest.json"
FILES = ("network.keras", "network.tflite", "label_encoder.joblib")

#: Packages on whose versions the weights depend.
_PACKAGES = (
    "tensorflow",
    "keras",
    "librosa",
    "numpy",
    "scipy",
    "soxr",
    "soundfile",
    "scikit-learn",
)


class ModelError(Exception):
    """A model folder cannot be used or written; the message says why and what to do."""


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a model folder after checking every file that it lists.

    Raises:
        ModelError: the folder, its manifest or a file is missing or not as it was written.
    """
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {folder}. Train one with train.py.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = {name: manifest["files"][name] for name in FILES}
        for key in ("labels", "network", "feature_version"):
            manifest[key]
    except FileNotFoundError:
        raise ModelError(
            f"{folder} holds no {MANIFEST}, so it is no model folder. Train one with train.py."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The manifest of {folder} cannot be read ({error!r}). Train the model again with "
            "train.py, or fetch the folder again."
        ) from None
    for name, expected in listed.items():
        try:
            found = files.sha256(folder / name)
        except OSError as error:
            raise ModelError(
                f"{folder / name} cannot be read ({error.strerror}), but the manifest lists it. "
                "Fetch the model folder again."
            ) from None
        if found != expected:
            raise ModelError(
                f"{folder / name} is not the file that the manifest describes (SHA-256 "
                f"{found[:8]}…, expected {expected[:8]}…). Fetch the model folder again."
            )
    return manifest


def write(
    folder: Path,
    network: "keras.Model",
    *,
    kind: str,
    emotions: Sequence[str],
    normalisation: dict[str, list[float]],
    familiar: Sequence[dict[str, Any]],
    averages: dict[str, Any],
    usual: dict[str, list[float]],
    emotion_means: np.ndarray,
    table: "pd.DataFrame",
    records: Sequence[dict[str, Any]],
    training: dict[str, Any],
) -> None:
    """Write a model folder beside its place, then put it there in one step.

    Args:
        folder: the place; a model that is there is replaced, and stays whole until then.
        network: raw features → probabilities (`network.join`).
        kind: 'frames' or 'vector'.
        emotions: in label order.
        normalisation: `mean` and `std` of the 264 features in training, which the network applies
            itself; mel and RMS in decibel.
        familiar: the recordings of each corpus (`familiarity.describe`).
        averages: the linear model beside the network (`averages.fit`), or empty.
        usual: what it says of voices on average (`leaning.usual`).
        emotion_means: (emotions, 264) of `training.emotion_means`, in decibel as `normalisation`.
        table: the clips that it was trained on.
        records: metric records (`evaluation.records`).
        training: how it was trained: seed, epochs, temperature, ...
    """
    import joblib
    from sklearn.preprocessing import LabelEncoder

    import evaluation
    import model_card

    name = os.path.basename(os.path.abspath(folder))
    folder = Path(os.path.realpath(folder))  # a link stays one
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # what a killed process left
    new.mkdir()
    try:
        with files.named(folder):
            network.save(new / "network.keras")
            _deflate(new / "network.keras")
            (new / "network.tflite").write_bytes(_convert(network, new / "saved"))
            joblib.dump(LabelEncoder().fit(list(emotions)), new / "label_encoder.joblib")
            manifest = {
                "name": name,
                "network": kind,
                "labels": list(emotions),
                "feature_version": features.FEATURE_VERSION,
                "pause_db": features.PAUSE_DB,
                "sample_rate": SAMPLE_RATE,
                "normalisation": normalisation,
                "familiar": list(familiar),
                "averages": averages,
                "usual": usual,
                # Four decimals are far below what any two clips differ by, and half the file.
                "emotion_means": emotion_means.astype(np.float64).round(4).tolist(),
                "parameters": network.count_params(),
                "corpora": evaluation.summarise(table),
                "training": training,
                "versions": versions(),
                "files": {name: files.sha256(new / name) for name in FILES},
                "metrics": list(records),
            }
            text = json.dumps(manifest, indent=1, ensure_ascii=False)
            (new / MANIFEST).write_text(text + "\n", encoding="utf-8")
            model_card.write(new, manifest)
            _put_in_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a training depends on."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _deflate(archive: Path) -> None:
    """Compress a Keras file, which is a zip archive that Keras leaves as large as it is."""
    packed = archive.with_suffix(".packed")
    with (
        zipfile.ZipFile(archive) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            # With a time of its own, each training would give another file.
            entry = zipfile.ZipInfo(member.filename)
            target.writestr(entry, source.read(member), zipfile.ZIP_DEFLATED)
    packed.replace(archive)


def _convert(network: "keras.Model", place: Path) -> bytes:
    """Return the network as a LiteRT (TensorFlow Lite) model with free batch and time axes.

    Args:
        network: what to convert.
        place: for files on the way, which are removed.
    """
    import tensorflow as tf

    try:
        network.export(place, verbose=False)
    except tf.errors.ResourceExhaustedError:  # of a disk, too
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    try:
        return _halve(tf.lite.TFLiteConverter.from_saved_model(str(place)).convert())
    finally:
        shutil.rmtree(place)


def _halve(model: bytes) -> bytes:
    """Return a LiteRT model that keeps what it multiplies with as halves, if they lose nothing.

    LiteRT widens them when it loads the model.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    tree = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    (graph,) = tree.subgraphs
    multiplying = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)
    kernels = {
        operator.inputs[1]
        for operator in graph.operators
        if tree.operatorCodes[operator.opcodeIndex].builtinCode in multiplying
    }
    # Version 3 is the first that takes halves.
    widening = schema.OperatorCodeT(
        schema.BuiltinOperator.DEQUANTIZE, None, 3, schema.BuiltinOperator.DEQUANTIZE
    )
    tree.operatorCodes.append(widening)
    for number in sorted(kernels):
        single = graph.tensors[number]
        content = tree.buffers[single.buffer]
        numbers = np.frombuffer(bytes(content.data), np.float32)
        halves = numbers.astype(np.float16)
        if not np.array_equal(halves, numbers):
            continue
        content.data = np.frombuffer(halves.tobytes(), np.uint8)
        half = copy.copy(single)
        half.type, half.name = schema.TensorType.FLOAT16, single.name + b"_half"
        single.buffer = 0  # the empty one: its content is computed
        graph.tensors.append(half)
        operator = schema.OperatorT(len(tree.operatorCodes) - 1, [len(graph.tensors) - 1], [number])
        graph.operators.insert(0, operator)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


def _put_in_place(new: Path, folder: Path) -> None:
    """Make `new` the folder; afterwards `new` is what was there before, if anything."""
    if not folder.exists():
        new.rename(folder)
    elif not _exchange(new, folder):
        # Where the system cannot exchange two folders: two steps, the second undone if it fails.
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)  # of a command that was killed between the steps
        folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        old.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one atomic step, if the system can (Linux: renameat2)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0
