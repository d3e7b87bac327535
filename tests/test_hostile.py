"""Nothing that comes in breaks a promise: an answer or one clear line for each, whatever it is.

`benchmarks/fuzz.py` asks about fifty times as many, with limits on time and memory.
"""

import json
import subprocess
import sys

import hostile
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import audio

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="makes pipes, sockets and names that other systems refuse"
)

CASES = 1_200
PARTS = 12


@pytest.mark.parametrize("part", range(PARTS))
def test_each_case_has_an_answer_or_one_clear_line(part, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    broken = {}
    for number in range(part, CASES, PARTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        kind, path = hostile.make(folder, number)
        before = hostile.listing(folder)
        faults = hostile.faults(path, hostile.ask(path))
        if hostile.listing(folder) != before:
            faults.append("files changed")
        if faults:
            broken[number, kind] = faults
    assert not broken
    assert len(list(tmp_path.iterdir())) == CASES / PARTS, "something was written beside the cases"


def test_a_case_is_the_same_each_time(tmp_path) -> None:
    for number in range(40):
        made = []
        for name in ("one", "two"):
            folder = tmp_path / f"{name}{number}"
            folder.mkdir()
            kind, path = hostile.make(folder, number)
            content = path.read_bytes() if path.is_file() else sorted(hostile.listing(path))
            made.append((kind, path.name, str(content).replace(str(folder), "")))
        assert made[0] == made[1]


def test_the_command_goes_through_a_folder_of_all_of_them(tmp_path) -> None:
    """One process, as a user starts it: a row for each sound, and the good ones are heard."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number in range(60):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        _, path = hostile.make(folder, number)
        path.rename(sounds / f"{number} {path.name}")
    before = hostile.listing(sounds)
    output = tmp_path / "rows.json"
    command = [sys.executable, str(ROOT / "test_model.py"), str(sounds), "--quiet"]
    run = subprocess.run(
        [*command, "--output", str(output)],
        capture_output=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    assert b"Traceback" not in run.stderr
    assert hostile.listing(sounds) == before
    rows = json.loads(output.read_text("utf-8"))
    assert len(rows) > 60
    assert hostile.faults(sounds, [row | {"error": row["error"] or ""} for row in rows]) == []
    good = [row for row in rows if row["path"].endswith(hostile.GOOD)]
    assert len({json.dumps(row | {"path": "", "label": ""}) for row in good}) == 1
    assert good[0]["emotion"]


def test_no_pickle_is_read_on_the_way_to_an_answer(tmp_path) -> None:
    (tmp_path / "voice.wav").write_bytes(hostile.valid()["voice.wav"])
    watch = """
import sys

def refuse(event, args):
    if event == "pickle.find_class":
        raise AssertionError(f"a pickle asks for {args}")

sys.addaudithook(refuse)
import test_model
sys.exit(test_model.main([sys.argv[1], "--quiet"]))
"""
    command = [sys.executable, "-c", watch, str(tmp_path / "voice.wav")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr + run.stdout


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(hostile.valid())),
    seed=st.integers(0, 2**32 - 1),
    seconds=st.floats(0.001, 2),
)
def test_whatever_is_decoded_is_a_waveform_in_one_piece_or_many(name, seed, seconds) -> None:
    content = hostile.damage(hostile.valid()[name], np.random.default_rng(seed))
    try:
        waveform = audio.load(content)
    except audio.AudioError:
        with pytest.raises(audio.AudioError) as caught:
            list(audio.stream(content, seconds=seconds))
        assert "\n" not in str(caught.value)
        return
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform) > 0
    assert np.isfinite(waveform).all()
    pieces = list(audio.stream(content, seconds=seconds))
    np.testing.assert_array_equal(np.concatenate(pieces), waveform)
