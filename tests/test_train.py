"""The command that retrains: corpora in, a model folder out, and nothing lost on the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, speechlike

import corpora
import crossvalidation
import dataset
import download
import model_folder
import train
import training
from audio import SAMPLE_RATE
from augment import NoiseAtSNR
from classifier import EmotionClassifier
from dataset import Sometimes

EMOTIONS = ("angry", "sad")


def make_corpus(folder: Path, *, speakers: int = 4, clips: int = 4, first: int = 0) -> Path:
    """Write a folder per emotion and speaker; loud and high is angry, soft and low is sad."""
    for speaker in range(first, first + speakers):
        for emotion in EMOTIONS:
            place = folder / emotion / f"voice{speaker}"
            place.mkdir(parents=True)
            for clip in range(clips):
                waveform = speechlike(0.8, seed=100 * speaker + clip)
                waveform *= 3 if emotion == "angry" else 0.3
                soundfile.write(place / f"{emotion}-{clip}.wav", waveform, SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpora") / "mine")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(train, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def extract(corpus: Path, cache: Path, recipes, **options) -> dataset.Dataset:
    options = {"seed": 0, "jobs": 1, "quiet": True, **options}
    return dataset.extract(corpora.scan(corpus), recipes, cache=cache, **options)


NOISY = (Sometimes(1.0, NoiseAtSNR(10, 20)),)


def test_the_second_extraction_is_read_from_the_cache(corpus, tmp_path, monkeypatch) -> None:
    first = extract(corpus, tmp_path, [(), NOISY])

    def forbidden(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(dataset, "_extract_chunk", forbidden)
    second = extract(corpus, tmp_path, [(), NOISY])
    np.testing.assert_array_equal(first.vectors(1), second.vectors(1))
    assert len(second.frames(0)) == len(second.table) == 32
    assert not list(tmp_path.glob("*.part"))


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
    soundfile.write(corpus / "sad" / "voice0" / "silent.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    (corpus / "sad" / "voice0" / "text.wav").write_text("not a sound")
    found = extract(corpus, tmp_path / "cache", [(), NOISY])
    assert len(found.table) == len(found.frames(0)) == len(found.frames(1)) == 16
    assert list(found.table.index) == list(range(16))
    said = [record.getMessage() for record in caplog.records]
    assert sum("left out: it cannot be read, or is silent" in line for line in said) == 2
    for row, clip in enumerate(found.frames(0)):
        vector = dataset.features.extract_vector(soundfile.read(found.table.path[row])[0])
        np.testing.assert_allclose(found.vectors(0)[row], vector, rtol=1e-5, atol=1e-5)
        assert clip.shape[1] == 264


def weights_of(
    found: dataset.Dataset, state: Path, *, kind: str, stop_after: int = 0, seed: int = 0
):
    rows = np.arange(len(found.table))

    def stop(epoch: int, _: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    trained = training.fit(
        kind,
        found,
        rows[8:],
        rows[:8],
        emotions=EMOTIONS,
        seed=seed,
        epochs=3,
        state=state,
        on_epoch=stop,
    )
    return [*trained.body.get_weights(), np.array(trained.temperature)]


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
    rows = np.arange(len(found.table))
    trained = training.fit(
        "frames",
        found,
        rows[8:],
        rows[4:8],
        emotions=EMOTIONS,
        seed=0,
        epochs=3,
        state=tmp_path / "two",
    )
    after = trained.body.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before[:-1], after, strict=True))


def test_the_temperature_calibrates() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4000, 3))
    drawn = [rng.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in logits]
    targets = np.eye(3)[drawn]
    assert training.fit_temperature(logits, targets) == pytest.approx(1.0, abs=0.1)
    assert training.fit_temperature(5 * logits, targets) == pytest.approx(5.0, abs=0.5)


def run_main(*options: object) -> int:
    return train.main([str(option) for option in options])


def test_the_command_trains_and_its_model_classifies(corpus, cache, tmp_path, capsys) -> None:
    output = tmp_path / "model" / "mine"
    options = ["--data", corpus, "--network", "frames", "--epochs", 2, "--folds", 2, "--jobs", 1]
    assert run_main(*options, "--evaluate", "speaker", "random", "--output", output) == 0
    printed = capsys.readouterr().out
    assert "32 clips of 4 speakers: mine speech" in printed
    assert "speaker: trained on mine speech" in printed
    assert "random: trained on mine speech" in printed
    manifest = model_folder.read(output)
    assert manifest["labels"] == list(EMOTIONS)
    assert [record["protocol"] for record in manifest["metrics"]] == ["speaker", "random"]
    assert manifest["metrics"][0]["clips"] == 32
    card = (output / "README.md").read_text()
    assert "unheard voices (speaker folds)" in card
    assert "known voices (random 80/20)" in card
    assert (output / "confusion-speaker.png").exists()
    prediction = EmotionClassifier.load(output).classify(corpus / "sad/voice0/sad-0.wav")
    assert tuple(prediction.probabilities) == EMOTIONS
    # A second run finds all that is finished; only the last training is made again.
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}
    assert not list(cache.rglob("*.state"))
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
    rows = np.arange(len(found.table))
    for kind in ("frames", "vector"):
        trained = training.fit(
            kind, found, rows, None, emotions=EMOTIONS, seed=0, epochs=1, state=cache / kind
        )
        joined = trained.joined()
        manifest = {"labels": EMOTIONS, "network": kind}
        heard = EmotionClassifier(manifest, lambda x, net=joined: np.asarray(net(x)))
        told = training.predict(joined, training.clip_inputs(kind, found, rows[:3]))
        for row in range(3):
            answer = heard.classify(found.table.path[row]).probabilities
            np.testing.assert_allclose(list(answer.values()), told[row], atol=1e-5)


def test_after_speaker_folds_the_model_learns_from_every_clip(corpus, cache) -> None:
    found = extract(corpus, cache / "features", [()])
    cache.mkdir(exist_ok=True)
    job = crossvalidation.Job("vector", found, EMOTIONS, 2, cache)
    folds = [crossvalidation.Finished(None, epochs, 1.5) for epochs in (1, 1, 2)]
    trained = crossvalidation.train_final(job, folds, seed=0)
    assert (trained.epochs, trained.temperature) == (1, pytest.approx(1.5))
    vectors = found.vectors(0)
    standardised = np.asarray(trained.frontend(vectors[..., np.newaxis]))
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=2e-2)
    frames = np.concatenate(found.frames(0))
    np.testing.assert_allclose(
        standardised.std(axis=0)[:, 0], vectors.std(axis=0) / frames.std(axis=0), rtol=0.05
    )


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


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--folds", "1"], ["--seed", "x"]])
def test_wrong_numbers_are_refused(options, capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        run_main(*options)
    assert exit_.value.code == 2
    assert "expected a number from" in capsys.readouterr().err


def test_one_emotion_is_not_enough(tmp_path, cache, capsys) -> None:
    corpus = make_corpus(tmp_path / "mine")
    assert run_main("--data", corpus / "sad", "--evaluate", "none") == 2
    assert "at least two emotions are needed" in capsys.readouterr().err


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


def test_a_failed_download_is_said(monkeypatch, capsys) -> None:
    def fail(_: Path) -> None:
        raise download.DownloadError("the connection was cut: try again later")

    monkeypatch.setattr(download, "download_ravdess", fail)
    assert run_main("--download") == 2
    assert capsys.readouterr().err == "train.py: the connection was cut: try again later\n"


def test_a_full_disk_is_said_and_the_model_stays(tiny_model, corpus, cache, capsys, monkeypatch):
    def full(_: object) -> bytes:
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
        "sys.exit(train.main())"
    )
    command = [sys.executable, "-c", program, tmp_path / "cache", *map(str, options)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("stop", ["SIGINT", "SIGKILL"])
def test_a_stopped_command_goes_on_from_there(stop, corpus, tmp_path) -> None:
    output = tmp_path / "model"
    options = ["--data", corpus, "--network", "vector", "--folds", 2, "--jobs", 1]
    options += ["--epochs", 40, "--output", output]
    running = start(tmp_path, *options)
    # Until the first fold is finished, or the command came to an end before its time.
    while not list((tmp_path / "cache").rglob("speaker-0-0-*.npz")) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(getattr(signal, stop))
    printed = running.communicate(timeout=60)[0]
    if stop == "SIGINT":
        assert running.returncode == 130, printed
        assert "Stopped. What was finished is kept" in printed
        assert "Traceback" not in printed
    assert not output.exists()
    (fold,) = (tmp_path / "cache").rglob("speaker-0-0-*.npz")
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
