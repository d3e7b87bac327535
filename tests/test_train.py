"""The command that retrains: corpora in, a model folder out, and nothing lost on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, TWO_EMOTIONS, make_corpus

import dataset
import download
import files
import model_folder
import progress
import protocols
import train
from audio import SAMPLE_RATE
from classifier import EmotionClassifier


def run_main(*options: object) -> int:
    return train.main([str(option) for option in options])


def test_the_command_trains_and_its_model_classifies(corpus, cache, tmp_path, capsys) -> None:
    output = tmp_path / "model" / "mine"
    options = ["--data", corpus, "--network", "frames", "--epochs", 2, "--folds", 2, "--jobs", 1]
    options += ["--seed", 0, 0]  # what is said twice counts once
    asked = ["--evaluate", "speaker", "speaker", "random"]
    assert run_main(*options, *asked, "--output", output) == 0
    printed = capsys.readouterr().out
    assert "32 clips of 4 speakers: mine speech" in printed
    assert "speaker: trained on mine speech" in printed
    assert "random: trained on mine speech" in printed
    manifest = model_folder.read(output)
    assert manifest["labels"] == list(TWO_EMOTIONS)
    assert [record["protocol"] for record in manifest["metrics"]] == ["speaker", "random"]
    assert manifest["metrics"][0]["clips"] == 32
    assert np.sum(manifest["metrics"][0]["confusion_matrix"]) == 32
    written = json.loads((tmp_path / "results" / "mine-speaker2.json").read_text())
    assert written["metrics"] == manifest["metrics"][:1]
    card = (output / "README.md").read_text()
    assert "unheard voices (speaker folds)" in card
    assert "known voices (random 80/20)" in card
    assert (output / "confusion-speaker-mine-speech.png").exists()
    prediction = EmotionClassifier.load(output).classify(corpus / "sad/voice0/sad-0.wav")
    assert tuple(prediction.probabilities) == TWO_EMOTIONS
    # A second run finds all that is finished.
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}
    assert not [*cache.rglob("*.state"), *cache.rglob("frames*.npy")]
    assert run_main(*options, "--evaluate", "speaker", "random", "--output", output) == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")} == before
    # Other folds do not meet the results of these.
    options[options.index("--folds") + 1] = 3
    assert run_main(*options, "--evaluate", "speaker", "--output", output) == 0
    assert model_folder.read(output)["metrics"][0]["folds"] == 3
    assert before.keys() < set(cache.rglob("*.npz"))


def test_an_emotion_without_a_sound_is_none_of_the_model(tmp_path, cache) -> None:
    corpus = make_corpus(tmp_path / "mine")
    (corpus / "happy" / "voice0").mkdir(parents=True)
    soundfile.write(corpus / "happy" / "voice0" / "1.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    output = tmp_path / "model"
    options = ["--data", corpus, "--evaluate", "none", "--epochs", 1, "--jobs", 1]
    assert run_main(*options, "--output", output) == 0
    assert model_folder.read(output)["labels"] == list(TWO_EMOTIONS)


@pytest.mark.parametrize("closed", ["model", "."])
def test_a_place_that_may_not_be_written_to_is_said_before_any_work(
    closed, corpus, cache, tmp_path, capsys, monkeypatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(dataset, "extract", None)
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path / closed and allowed(path, mode)
    )
    assert run_main("--data", corpus, "--output", tmp_path / "model") == 2
    assert f"{tmp_path / closed} must not be written to" in capsys.readouterr().err


def test_without_recordings_the_ways_to_some_are_said(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(train, "DATA", tmp_path)
    assert run_main("--output", tmp_path / "model") == 2
    error = capsys.readouterr().err
    assert "holds no audio file" in error
    assert "Fetch RAVDESS with --download, or name your recordings with --data" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--evaluate", "cross-corpus"], "at least two corpora"),
        (["--folds", "9"], "at least 9 speakers, found 4"),
        (["--output", "{corpus}"], "holds something other than a model"),
        (["--output", __file__], "is a file. Name another folder"),
        (["--output", f"{__file__}/model"], "is a file. Name another folder"),
        (["--output", "/"], "/ holds something other than a model"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    options, message, corpus, cache, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(dataset, "extract", None)
    options = [option.format(corpus=corpus) for option in options]
    if "--data" not in options:
        options = ["--data", str(corpus), *options]
    assert run_main(*options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "options",
    [["--epochs", "0"], ["--folds", "1"], ["--seed", "x"], ["--seed", f"{2**32}"]],
)
def test_wrong_numbers_are_refused(options, capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        run_main(*options)
    assert exit_.value.code == 2
    assert "expected a number from" in capsys.readouterr().err


def test_one_emotion_is_not_enough(tmp_path, cache, capsys) -> None:
    corpus = make_corpus(tmp_path / "mine")
    assert run_main("--data", corpus / "sad", "--evaluate", "none") == 2
    assert "at least two emotions are needed" in capsys.readouterr().err
    folders = [shutil.copytree(corpus / name, tmp_path / name / name) for name in TWO_EMOTIONS]
    lists = [tmp_path / f"{folder.name}.csv" for folder in folders]
    for file, folder in zip(lists, folders, strict=True):
        clips = [str(path) for path in folder.rglob("*.wav")]
        file.write_text("path,emotion\n" + "".join(f"{path},{folder.name}\n" for path in clips))
    assert run_main("--data", *lists, "--evaluate", "none") == 2
    assert "All clips of each corpus are angry and sad" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False])
def test_what_is_downloaded_is_trained_on(named, corpus, cache, tmp_path, monkeypatch, capsys):
    def fetch(data_dir: Path) -> Path:
        return make_corpus(data_dir / "ravdess", speakers=2, first=10)

    monkeypatch.setattr(download, "download_ravdess", fetch)
    monkeypatch.setattr(train, "DATA", tmp_path / "data")
    options = ["--data", corpus] if named else []
    options += ["--network", "vector", "--evaluate", "none", "--epochs", 1, "--jobs", 1]
    assert run_main(*options, "--download", "--output", tmp_path / "model") == 0
    trained_on = model_folder.read(tmp_path / "model")["corpora"]
    assert {name: corpus["clips"] for name, corpus in trained_on.items()} == (
        {"mine": 32, "ravdess": 16} if named else {"data": 16}
    )


def test_two_downloads_do_not_meet(corpus, cache, tmp_path, monkeypatch):
    def fetch(data):
        with pytest.raises(files.BusyError), files.alone(cache / "locks" / "download"):
            pass
        return corpus

    monkeypatch.setattr(download, "download_ravdess", fetch)
    assert run_main("--download", "--data", tmp_path / "none") == 2


def test_a_failed_download_is_said(monkeypatch, capsys) -> None:
    def fail(_: Path) -> None:
        raise download.DownloadError("the connection was cut: try again later")

    monkeypatch.setattr(download, "download_ravdess", fail)
    assert run_main("--download") == 2
    assert capsys.readouterr().err == "train.py: the connection was cut: try again later\n"


def test_a_full_disk_is_said_and_the_model_stays(tiny_model, corpus, cache, capsys, monkeypatch):
    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device", "network.tflite")

    monkeypatch.setattr(model_folder, "_convert", full)
    before = (tiny_model / "manifest.json").read_bytes()
    options = ["--data", corpus, "--network", "vector", "--epochs", 1, "--jobs", 1]
    assert run_main(*options, "--evaluate", "none", "--output", tiny_model) == 1
    assert "No space left on device: network.tflite" in capsys.readouterr().err
    model_folder.read(tiny_model)
    assert (tiny_model / "manifest.json").read_bytes() == before


def start(tmp_path: Path, *options: object) -> subprocess.Popen:
    """Start the command as a process of its own, with its cache in tmp_path."""
    program = (
        "import sys, pathlib, train;"
        "train.CACHE = pathlib.Path(sys.argv.pop(1));"
        "train.RESULTS = train.CACHE / 'results';"
        "sys.exit(train.main())"
    )
    command = [sys.executable, "-c", program, tmp_path / "cache", *map(str, options)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Behind a shell's "&" the tests themselves, and what they start, would not hear Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("stop", ["SIGINT", "SIGKILL"])
def test_a_stopped_command_goes_on_from_there(stop, corpus, tmp_path) -> None:
    output = tmp_path / "model"
    options = ["--data", corpus, "--network", "vector", "--folds", 2, "--jobs", 1]
    options += ["--epochs", 40, "--output", output]
    running = start(tmp_path, *options)
    # Until the first fold is finished, or the command came to an end before its time.
    runs = tmp_path / "cache" / "runs"
    while not list(runs.rglob("*.npz")) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(getattr(signal, stop))
    printed = running.communicate(timeout=60)[0]
    if stop == "SIGINT":
        assert running.returncode == 130, printed
        assert "Stopped. What was finished is kept" in printed
        assert "Traceback" not in printed
    assert not output.exists()
    (fold,) = runs.rglob("*.npz")
    finished = fold.read_bytes(), os.stat(fold).st_mtime_ns
    again = start(tmp_path, *options)
    printed = again.communicate(timeout=120)[0]
    assert again.returncode == 0, printed
    assert (fold.read_bytes(), os.stat(fold).st_mtime_ns) == finished
    assert model_folder.read(output)["metrics"][0]["folds"] == 2


def test_help_answers_without_heavy_imports() -> None:
    program = (
        "import sys, train\n"
        "try: train.main(['--help'])\n"
        "except SystemExit: print(sorted({'tensorflow', 'librosa', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith("[]\n")


def test_who_watches_is_told_why_a_training_ended(cache, tmp_path) -> None:
    file = tmp_path / "progress.jsonl"
    assert run_main("--data", "nowhere", "--output", tmp_path / "m", "--progress", file) == 2
    assert "nowhere" in progress.read(file)[-1]["error"]


def test_too_few_clips_for_a_temperature_are_said_before_any_work(
    cache, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(dataset, "extract", None)
    mine = make_corpus(tmp_path / "mine", speakers=1, clips=2)
    assert run_main("--data", mine, "--evaluate", "none", "--output", tmp_path / "m") == 2
    assert "too few to set 10% aside" in capsys.readouterr().err


def test_a_corpus_of_one_emotion_is_said(cache, tmp_path, monkeypatch, caplog) -> None:
    def enough(*_: object, **__: object) -> None:
        raise protocols.ProtocolError("enough")

    monkeypatch.setattr(protocols, "splits", enough)
    one, two = make_corpus(tmp_path / "one"), make_corpus(tmp_path / "two", first=10)
    shutil.rmtree(one / "angry")
    assert run_main("--data", one, two, "--output", tmp_path / "m") == 2
    assert "Nothing is learned from one: all its clips are sad." in caplog.text
