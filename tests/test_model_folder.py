"""A model folder is written in one step, and read only if it is whole."""

import json
import os
import shutil
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from conftest import ROOT, make_model

import corpora
import features
import model_folder
from model_folder import ModelError

SHIPPED = ["frames", "vector"]


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def test_a_written_folder_is_read_back(tiny_model) -> None:
    manifest = model_folder.read(tiny_model)
    assert tuple(manifest["labels"]) == corpora.EMOTIONS
    assert manifest["network"] == "frames"
    assert set(manifest["files"]) == {"network.keras", "network.tflite", "label_encoder.joblib"}
    assert manifest["corpora"]["own"]["clips"] == 1
    assert joblib.load(tiny_model / "label_encoder.joblib").inverse_transform([6]) == ["sad"]
    assert (tiny_model / "README.md").read_text().startswith("---\nlicense:")
    assert [path.name for path in tiny_model.parent.iterdir()] == [tiny_model.name]


@pytest.mark.parametrize("name", ["network.keras", "network.tflite", "label_encoder.joblib"])
def test_a_changed_file_is_refused(folder, name) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is not the file that the manifest describes"):
        model_folder.read(folder)


@pytest.mark.parametrize("name", ["network.keras", "network.tflite", "label_encoder.joblib"])
def test_a_missing_file_is_said(folder, name) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read .*, but the manifest lists it"):
        model_folder.read(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '"x"', '{"files": {}}', '{"files": 3, "labels": []}', "\udcff"]
)
def test_a_manifest_that_is_none_is_said(folder, text) -> None:
    (folder / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"manifest of .* cannot be read"):
        model_folder.read(folder)


def test_a_folder_that_is_none_is_said(tmp_path) -> None:
    with pytest.raises(ModelError, match="There is no model folder"):
        model_folder.read(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"holds no manifest\.json"):
        model_folder.read(tmp_path)


def test_a_path_out_of_the_folder_is_refused(folder) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    outside = folder.parent / "outside.tflite"
    shutil.move(folder / "network.tflite", outside)
    manifest["files"]["../outside.tflite"] = manifest["files"].pop("network.tflite")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"manifest of .* cannot be read .*network\.tflite"):
        model_folder.read(folder)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(folder, monkeypatch, exchange) -> None:
    if not exchange:
        monkeypatch.setattr(model_folder, "_exchange", lambda one, other: False)
        # Of a command that was killed between the two steps.
        shutil.copytree(folder, folder.with_name(f".{folder.name}.old"))
    (folder / "left over").write_text("from the old model")
    old = model_folder.read(folder)
    make_model(folder, "vector")
    new = model_folder.read(folder)
    assert (old["network"], new["network"]) == ("frames", "vector")
    assert not (folder / "left over").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_behind_a_link_a_folder_is_replaced_again_and_again(folder, tmp_path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(folder)
    for kind in ("vector", "frames"):
        make_model(link, kind)
        manifest = model_folder.read(link)
        assert (manifest["network"], manifest["name"]) == (kind, "linked")
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "linked"]


@pytest.mark.parametrize("step", ["_convert", "_put_in_place", "files.sha256"])
def test_a_failure_leaves_the_old_folder_whole(folder, monkeypatch, step) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(f"model_folder.{step}", fail)
    with pytest.raises(OSError, match="No space left"):
        make_model(folder, "vector")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_failure_between_the_two_steps_is_undone(folder, monkeypatch) -> None:
    monkeypatch.setattr(model_folder, "_exchange", lambda one, other: False)
    rename = Path.rename

    def fail_second(self: Path, target: Path) -> Path:
        if ".new" in self.name:
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(OSError, match="Permission denied"):
        make_model(folder, "vector")
    assert model_folder.read(folder)["network"] == "frames"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_folders_are_whole(name) -> None:
    folder = ROOT / "model" / name
    manifest = model_folder.read(folder)
    assert manifest["network"] == name
    assert tuple(manifest["labels"]) == corpora.EMOTIONS
    assert manifest["feature_version"] == features.FEATURE_VERSION
    assert max(os.path.getsize(folder / file) for file in manifest["files"]) < 5_000_000
    assert manifest["parameters"] < 2_000_000
    assert os.path.getsize(folder / "network.tflite") < 2.2 * manifest["parameters"], "no halves"
    assert (manifest["corpora"]["RAVDESS"]["clips"], manifest["training"]["seed"]) == (2451, 0)
    protocols = {record["protocol"] for record in manifest["metrics"]}
    assert {"speaker", "random"} <= protocols, "both figures stand side by side"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_litert_twin_says_what_keras_says(name) -> None:
    from ai_edge_litert.interpreter import Interpreter

    folder = ROOT / "model" / name
    network = keras.saving.load_model(folder / "network.keras", compile=False, safe_mode=True)
    interpreter = Interpreter(str(folder / "network.tflite"))
    (tensor_in,), (tensor_out,) = interpreter.get_input_details(), interpreter.get_output_details()
    rng = np.random.default_rng(0)
    for frames in (9, 50, 300):
        waveform = 0.1 * rng.standard_normal(frames * 512 - 512).astype(np.float32)
        raw = features.extract_frames(waveform)
        if name == "vector":
            raw = features.mean_vector(raw)[:, np.newaxis]
        interpreter.resize_tensor_input(tensor_in["index"], [1, *raw.shape])
        interpreter.allocate_tensors()
        interpreter.set_tensor(tensor_in["index"], raw[np.newaxis])
        interpreter.invoke()
        twin = interpreter.get_tensor(tensor_out["index"])
        np.testing.assert_allclose(twin, np.asarray(network(raw[np.newaxis])), atol=1e-5)
