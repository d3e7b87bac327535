"""Packages that not everybody has are missed only where they are needed; processors differ."""

import csv
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, as_wav, speechlike, wav

import workers
from classifier import EmotionClassifier

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("av", "dask", "distributed", "keras", "tensorflow"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Missing())
import test_model
sys.exit(test_model.main(sys.argv[1:]))
"""


def test_a_wav_needs_neither_ffmpeg_nor_keras_nor_dask(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(2))
    (tmp_path / "b.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    table = tmp_path / "table.csv"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path), "--output", str(table), "--jobs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    heard, missed = csv.DictReader(table.read_text("utf-8").splitlines())
    assert heard["emotion"]
    assert not heard["error"]
    assert "FFmpeg: not installed, try pip install av" in missed["error"]


def test_a_cluster_without_dask_is_refused_with_the_way_to_get_it(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(workers.ClusterError, match=r"pip install 'dask\[distributed\]'"):
        list(workers.stream(str, [1], scheduler="tcp://127.0.0.1:8786"))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no x86 processor")
def test_without_avx_512_the_answers_are_the_same(tmp_path) -> None:
    """NumPy has other code for such processors, and OpenBLAS other products of matrices."""
    older = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
    looked = "import numpy; print(numpy.show_config(mode='dicts')['SIMD Extensions']['found'])"
    found = subprocess.check_output([sys.executable, "-c", looked], env=os.environ | older)
    assert b"X86_V4" not in found
    older["OPENBLAS_CORETYPE"] = "Haswell"
    sounds = [speechlike(seconds, seed=seed) for seed, seconds in enumerate((0.7, 2, 5, 14))]
    for number, sound in enumerate(sounds):
        (tmp_path / f"{number}.wav").write_bytes(as_wav(sound))
    table = tmp_path / "table.csv"
    command = [sys.executable, "test_model.py", str(tmp_path), "--output", str(table), "--quiet"]
    subprocess.run(command, cwd=ROOT, env=os.environ | older, check=True)
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert len(rows) == len(sounds)
    classifier = EmotionClassifier.load(ROOT / "model" / "frames")
    for number, row in enumerate(rows):
        answer = classifier.classify(tmp_path / f"{number}.wav")
        told = [float(row[emotion]) for emotion in answer.probabilities]
        np.testing.assert_allclose(told, list(answer.probabilities.values()), atol=1e-4)
        assert row["emotion"] == answer.emotion
