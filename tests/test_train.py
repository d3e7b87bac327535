"""The command that retrains: corpora in, a model folder out, and nothing lost on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import NOISY, ROOT, TWO_EMOTIONS, extract, make_corpus
from scipy.special import softmax

import crossvalidation
import dataset
import download
import files
import leaning
import model_folder
import protocols
import side_by_side
import train
import training
from audio import SAMPLE_RATE
from augment import NoiseAtSNR
from classifier import EmotionClassifier
from dataset import Sometimes


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(train, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(train, "RESULTS", tmp_path / "results")
    monkeypatch.setitem(training.MEMBERS, "frames", 2)  # an ensemble, but a quick one
    return tmp_path / "cache"


def test_the_second_extraction_is_read_from_the_cache(corpus, tmp_path, monkeypatch) -> None:
    first = extract(corpus, tmp_path, [(), NOISY])

    def forbidden(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(dataset, "_extract_chunk", forbidden)
    second = extract(corpus, tmp_path, [(), NOISY])
    np.testing.assert_array_equal(first.vectors(1), second.vectors(1))
    assert len(second.frames(0)) == len(second.table) == 32
    assert not list(tmp_path.glob("*.part"))
    moved = shutil.copytree(corpus, tmp_path / "elsewhere")  # with other times, as if unpacked anew
    again = extract(moved, tmp_path, [(), NOISY])
    assert again.copies == first.copies
    assert list(again.table.path) != list(first.table.path)


def test_what_changes_a_feature_changes_the_cache(corpus, tmp_path, monkeypatch) -> None:
    def files(**options) -> set[Path]:
        recipes = options.pop("recipes", [(), NOISY])
        return {f for copy in extract(corpus, tmp_path, recipes, **options).copies for f in copy}

    first = files()
    assert files(seed=1) & first  # the clips themselves
    assert files(seed=1) - first
    assert files(recipes=[(), (Sometimes(1.0, NoiseAtSNR(10, 21)),)]) - first
    monkeypatch.setattr(dataset.features, "FEATURE_VERSION", 99)
    assert not files() & first


def test_a_clip_draws_the_same_noise_whatever_joins_the_corpus(corpus, tmp_path) -> None:
    alone = extract(corpus / "sad", tmp_path / "a", [(), NOISY])
    among = extract(corpus, tmp_path / "b", [(), NOISY])
    rows = [list(among.table.path).index(path) for path in alone.table.path]
    np.testing.assert_array_equal(alone.vectors(1), among.vectors(1)[rows])
    assert not np.allclose(alone.vectors(0), alone.vectors(1))


def test_silent_and_unreadable_clips_are_left_out_and_said(tmp_path, caplog) -> None:
    corpus = make_corpus(tmp_path / "mine", clips=2)
    (corpus / "sad" / "voice00").mkdir()  # one that is silent throughout
    for samples, name in ((9000, "voice0/silent.wav"), (8000, "voice00/silent.wav")):
        soundfile.write(corpus / "sad" / name, np.zeros(samples), SAMPLE_RATE)
    (corpus / "sad" / "voice0" / "text.wav").write_text("not a sound")
    found = extract(corpus, tmp_path / "cache", [(), NOISY])
    assert len(found.table) == len(found.frames(0)) == len(found.frames(1)) == 16
    assert list(found.table.index) == list(range(16))
    said = [record.getMessage() for record in caplog.records]
    assert sum("left out: it cannot be read, or is silent" in line for line in said) == 3
    for row, clip in enumerate(found.frames(0)):
        vector = dataset.features.extract_vector(soundfile.read(found.table.path[row])[0])
        np.testing.assert_allclose(found.vectors(0)[row], vector, rtol=1e-5, atol=1e-5)
        assert clip.shape[1] == 264


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


def test_what_a_fold_says_is_what_the_classifier_says(corpus, cache) -> None:
    """The figures of an evaluation come from the same path as an answer on the page."""
    found = extract(corpus, cache / "features", [(), NOISY])
    for kind in ("frames", "vector"):
        folder = cache / kind
        folder.mkdir()
        job = side_by_side.Job(kind, found, TWO_EMOTIONS, 1, folder)
        fold, _ = crossvalidation.run(job, "speaker", folds=2, seeds=[0], jobs=1)
        heard = fold.ensemble.classifier()
        for row, told in list(zip(fold.result.test, fold.result.probabilities, strict=True))[:3]:
            answer = heard.classify(found.table.path[row]).probabilities
            np.testing.assert_allclose(list(answer.values()), told, atol=1e-5)


def test_after_speaker_folds_the_model_learns_from_every_clip(corpus, cache) -> None:
    found = extract(corpus, cache / "features", [()])
    job = side_by_side.Job("vector", found, TWO_EMOTIONS, 2, cache)
    folds = crossvalidation.run(job, "speaker", folds=2, seeds=[0], jobs=1)
    ensemble = crossvalidation.train_final(job, folds, seed=0, jobs=1)
    logs = [np.log(fold.ensemble.temperature) for fold in folds]
    assert ensemble.temperature == pytest.approx(np.exp(np.mean(logs)))
    assert len(ensemble.members()) == training.MEMBERS["vector"]
    vectors = [dataset.features.vector_of_sound(clip) for clip in found.frames(0)]
    mean = dataset.features.decibel(np.array(vectors)).mean(axis=0)
    member = ensemble.members()[0]
    assert np.max(np.abs(member.mean - mean) / member.std) < 2e-2
    at_the_mean = dataset.features.linear(mean[np.newaxis])[..., np.newaxis]
    np.testing.assert_allclose(member.frontend()(at_the_mean), 0, atol=2e-2)


def test_clips_that_are_set_aside_from_the_model_do_not_scale_its_features(corpus, cache) -> None:
    found = extract(corpus, cache / "features", [()])
    job = side_by_side.Job("vector", found, TWO_EMOTIONS, 1, cache)
    ensemble = crossvalidation.train_final(job, [], seed=0, jobs=1)
    assert 0 < len(ensemble.train) < len(found.table)
    member = ensemble.members()[0]
    vectors = np.array([dataset.features.vector_of_sound(clip) for clip in found.frames(0)])
    decibel = dataset.features.decibel(vectors)
    learned, heard = decibel[ensemble.train].mean(axis=0), decibel.mean(axis=0)
    assert np.max(np.abs(member.mean - learned) / member.std) < 2e-2
    assert np.max(np.abs(member.mean - heard) / member.std) > 1e-1


def test_what_is_usual_counts_corpora_and_emotions_alike(monkeypatch) -> None:
    rows = [
        ("one", "angry", "speech", 2.0),
        ("one", "calm", "speech", 4.0),
        ("one", "calm", "speech", 6.0),
        ("one", "calm", "song", 90.0),
        ("one", "neutral", "song", 8.0),
        ("two", "angry", "speech", 10.0),
        ("two", "neutral", "speech", 20.0),
        ("two", "neutral", "speech", 0.0),
        ("two", "angry", "speech", 99.0),  # not learned from
    ]
    table = pd.DataFrame(rows, columns=["corpus", "emotion", "channel", "logit"])
    said = softmax(np.stack([table.logit, np.zeros(9)], axis=1), axis=1)

    def usual_of(train: np.ndarray) -> dict[str, list[float]]:
        job = side_by_side.Job("frames", SimpleNamespace(table=table), TWO_EMOTIONS, 1, Path())
        ensemble = crossvalidation.Ensemble(job, train, [], 1.0, [])
        return ensemble.usual_answers()

    monkeypatch.setattr(crossvalidation.Ensemble, "probabilities", lambda _, rows: said[rows])
    usual = usual_of(np.arange(8))
    odds = {name: logs[0] - logs[1] for name, logs in usual.items()}
    assert odds["all"] == pytest.approx(((2 + 5 + 8) / 3 + (10 + 10) / 2) / 2, abs=1e-3)
    quiet = ((5 + 8) / 2 + 10) / 2
    expected = odds["all"] + leaning.UNHEARD_SHARE * (quiet - odds["all"])
    assert odds["quiet"] == pytest.approx(expected, abs=1e-3)
    usual = usual_of(np.array([0, 5]))  # nobody is calm or neutral
    assert usual["quiet"] == usual["all"]


def answered(table: pd.DataFrame, answers: np.ndarray, members: int = 1) -> float:
    """Return the temperature of members that said this of all clips, and learned from all."""
    job = SimpleNamespace(
        kind="frames", dataset=SimpleNamespace(table=table), emotions=list(TWO_EMOTIONS)
    )
    rows = np.arange(len(table))
    split = protocols.Split("one", rows, rows, rows[:0])
    tasks = [
        SimpleNamespace(split=split, answers=lambda part=part: part)
        for part in np.split(answers, members)
    ]
    return crossvalidation._temperature(job, tasks) / training.TOGETHER["frames"]


def drawn(clips: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return clips of a voice each, and logits that are as sure as they are right."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((clips, 2))
    emotion = [rng.choice(TWO_EMOTIONS, p=np.exp(row) / np.exp(row).sum()) for row in logits]
    table = pd.DataFrame({"corpus": "large", "channel": "speech", "emotion": emotion})
    return table.assign(speaker=np.arange(clips)), logits


def test_the_temperature_is_what_the_members_make_of_speech() -> None:
    table, logits = drawn(2600)
    table.loc[:299, "channel"] = "song"
    sure = np.where(table.channel == "song", 100.0, 3.0)[:, np.newaxis]
    both = np.concatenate([logits * sure, logits * sure])
    assert answered(table, both, 2) == pytest.approx(3.0, rel=0.15)
    # A member that is too sure costs more than one that is too modest.
    uneven = np.concatenate([0.5 * logits * sure, 2 * logits * sure])
    assert answered(table, uneven, 2) > 1.1 * answered(table, both, 2)
    # Ten voices have half of a say, what is usual the other half.
    table["speaker"] %= 10
    halfway = (3.0 * training.USUAL_TEMPERATURE["frames"]) ** 0.5
    assert answered(table, both, 2) == pytest.approx(halfway, rel=0.15)


def test_song_alone_and_few_clips_say_what_they_can() -> None:
    table, logits = drawn(600)
    assert answered(table.assign(channel="song"), 3 * logits) > 1.5
    # However many voices they are of, six clips say next to nothing.
    assert answered(table[:6], 10 * logits[:6]) == pytest.approx(1.15, rel=0.06)


def test_the_corpora_have_their_say_by_their_speech() -> None:
    table, logits = drawn(2600)
    table.loc[:599, "corpus"] = "small"
    sure = np.where(table.corpus == "small", 9.0, 3.0)[:, np.newaxis]
    spoken = answered(table, logits * sure)
    assert 3.0 < spoken < 9.0
    # Song beside speech of its own corpus has none; where it is all there is, it does.
    table.loc[:299, "channel"] = "song"
    assert 2.5 < answered(table, logits * sure) < spoken
    table.loc[:599, "channel"] = "song"
    assert answered(table, logits * sure) == pytest.approx(spoken)


def test_ten_clips_that_are_surely_right_change_nothing() -> None:
    table, logits = drawn(3000)
    small = table[:10].assign(corpus="small", emotion=list(TWO_EMOTIONS) * 5)
    right = 100.0 * pd.get_dummies(small.emotion)[list(TWO_EMOTIONS)].to_numpy(float)
    found = answered(
        pd.concat([table, small], ignore_index=True), np.concatenate([2 * logits, right])
    )
    assert found == pytest.approx(2.0, rel=0.15)


def test_a_corpus_of_one_emotion_has_no_say_in_the_temperature() -> None:
    table, logits = drawn(3000)
    small = pd.DataFrame({"corpus": "small", "channel": "speech", "emotion": ["sad"] * 100})
    small["speaker"] = np.arange(3000, 3100)
    wrong = np.tile([100.0, -100.0], (100, 1))
    found = answered(
        pd.concat([table, small], ignore_index=True), np.concatenate([2 * logits, wrong])
    )
    assert found == pytest.approx(answered(table, 2 * logits))
    assert answered(small, wrong) == pytest.approx(training.USUAL_TEMPERATURE["frames"])


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--evaluate", "cross-corpus"], "at least two corpora"),
        (["--folds", "9"], "at least 9 speakers, found 4"),
        (["--output", "{corpus}"], "holds something other than a model"),
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
