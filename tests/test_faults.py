"""Full disks, missing rights, wrong clocks, lost memory, two at once: said plainly, nothing lost.

Kills at random moments are the business of benchmarks/faults.py.
"""

import contextlib
import errno
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import (
    NOISY,
    ROOT,
    TWO_EMOTIONS,
    extract,
    make_corpus,
    make_model,
    speechlike,
    wav,
)

import audio
import corpora
import crossvalidation
import dataset
import evaluation
import files
import my_recordings
import side_by_side
import test_model
import train
import training
import workers

resource = pytest.importorskip("resource", reason="these faults are made as POSIX has them")

FULL = "No space left on device|File too large"  # a real disk, or where that needs root a limit


class Disk:
    """A folder on a disk that can be filled: a small tmpfs or, without root, a limit on files."""

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.folder = folder
        self._mounted = mounted
        self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def fill(self) -> None:
        if not self._mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, self._hard))
            return
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            for size in (2**16, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)):
                        pass

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._hard, self._hard))
        (self.folder / "filler").unlink(missing_ok=True)


def mount(folder: Path, options: str) -> bool:
    """Mount a tmpfs, or change how it is mounted; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True).returncode == 0
    return False


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder, mounted=mount(folder, "size=2m"))
    yield disk
    disk.free()
    if disk._mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def read_only(tmp_path, tiny_model) -> Iterator[Path]:
    """A model folder that nobody may write to, root included."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mounted = mount(folder, "size=16m")
    try:
        shutil.copytree(tiny_model, folder / "model")
        if not (mounted and mount(folder, "remount,ro")):
            for place in (folder / "model", folder):
                place.chmod(0o555)
        if os.access(folder, os.W_OK):
            pytest.skip("root may write everywhere, and may not mount here")
        yield folder / "model"
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)
        else:
            folder.chmod(0o755)


@pytest.fixture
def sounds(tmp_path) -> Path:
    """Four recordings."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(4):
        waveform = speechlike(1, seed=number)
        soundfile.write(folder / f"{number}.wav", waveform, audio.SAMPLE_RATE)
    return folder


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit status, stdout, stderr; never a traceback."""

    def run(command, *arguments: object) -> tuple[int, str, str]:
        status = command([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


@pytest.fixture
def small(tmp_path, monkeypatch) -> list[object]:
    """The options of a quick training, its caches apart."""
    monkeypatch.setattr(train, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(train, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(training, "RECIPES", ((), NOISY))
    make_corpus(tmp_path / "corpus", speakers=2, clips=2)
    options = ["--data", tmp_path / "corpus", "--network", "vector", "--evaluate", "none"]
    return [*options, "--epochs", 1, "--jobs", 1, "--output", tmp_path / "new"]


# ------------------------------------------------------------------------------- whole, and alone


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    file = tmp_path / "file"
    with files.whole(file) as part:
        part.write_text("first")
        assert not file.exists()
    with contextlib.suppress(OSError), files.whole(file) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "the disk is full")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "first"


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    for name in (".a.1.part", ".a.22.part", ".b.3.part", "a", "b.part", ".hidden"):
        (tmp_path / name).touch()
    files.sweep(tmp_path, "a")
    assert sorted(os.listdir(tmp_path)) == [".b.3.part", ".hidden", "a", "b.part"]
    files.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "a", "b.part"]


def test_an_error_of_a_worker_names_the_file(tmp_path):
    with pytest.raises(OSError, match="full") as caught, files.named(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "full")
    told = pickle.loads(pickle.dumps(caught.value))
    assert (told.errno, told.filename) == (errno.ENOSPC, str(tmp_path / "file"))


def test_a_lock_ends_with_its_process(tmp_path):
    program = (
        "import files, pathlib, sys, time\n"
        "with files.alone(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    lock = tmp_path / "folder" / "lock"
    command = [sys.executable, "-c", program, str(lock)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(files.BusyError), files.alone(lock):
        pass
    holder.kill()
    holder.communicate()
    with files.alone(lock), pytest.raises(files.BusyError), files.alone(lock):
        pass


# ------------------------------------------------------------------------------------- a full disk


def test_a_table_that_finds_no_room_is_written_by_the_same_command_later(
    disk, sounds, tiny_model, run, monkeypatch
):
    command = [sounds, "--model", tiny_model, "--jobs", 1, "--output", disk.folder / "table.csv"]
    conclude = test_model._conclude

    def with_a_full_disk(*arguments: object) -> int:
        disk.fill()
        return conclude(*arguments)

    (disk.folder / "table.csv").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(test_model, "_conclude", with_a_full_disk)
        patch.setattr("journal.SAVE_SECONDS", 0)
        status, out, err = run(test_model.main, *command)
    assert status == test_model.WRONG_USAGE
    assert "4 of 4 files classified" in out
    assert "the results cannot be written" in err
    assert "Mend this and run the same command again" in err
    assert (disk.folder / "table.csv").read_text() == "old"
    disk.free()
    status, _, err = run(test_model.main, *command)
    assert (status, "4 of 4 files were done before" in err) == (test_model.OK, True)
    assert len(pd.read_csv(disk.folder / "table.csv")) == 4
    assert os.listdir(disk.folder) == ["table.csv"]


def test_a_journal_that_finds_no_room_at_the_very_end_is_said(
    disk, sounds, tiny_model, run, monkeypatch
):
    command = [sounds, "--model", tiny_model, "--jobs", 1, "--output", disk.folder / "table.csv"]
    classify_all = test_model._classify_all

    def then_fill(journal, *arguments: object) -> None:
        classify_all(journal, *arguments)
        disk.fill()
        for place, (_, rows) in enumerate(list(journal.done())):  # more than fits, not saved yet
            journal.add(place, [row | {"more": "x" * 2**18} for row in rows])

    monkeypatch.setattr(test_model, "_classify_all", then_fill)
    status, _, err = run(test_model.main, *command)
    assert status == test_model.WRONG_USAGE
    assert "table.csv.partial, which keeps what is done, cannot be used" in err
    assert "Is the disk full" in err


def test_results_that_cannot_be_printed_are_one_line(sounds, tiny_model):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = [sys.executable, ROOT / "test_model.py", sounds / "0.wav", "--model", tiny_model]
    with open("/dev/full", "w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == test_model.WRONG_USAGE
    assert ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr


def test_a_clip_that_finds_no_room_costs_no_other(disk, monkeypatch):
    monkeypatch.setattr(my_recordings, "FOLDER", disk.folder / "data" / corpora.OWN)
    kept = my_recordings.keep(wav(1), voice="alice", emotion="sad")
    other = wav(1, seed=1)
    disk.fill()
    with pytest.raises(OSError, match=FULL) as caught:
        my_recordings.keep(other, voice="alice", emotion="angry")
    assert "angry" in caught.value.filename
    assert os.listdir(my_recordings.FOLDER) == [kept.file.name]
    assert audio.load(kept.file).size
    disk.free()
    my_recordings.keep(other, voice="alice", emotion="angry")
    assert len(my_recordings.clips()) == 2


def test_a_training_that_finds_no_room_says_where(disk, small, run, monkeypatch):
    monkeypatch.setattr(train, "CACHE", disk.folder)
    (disk.folder / "features").mkdir()
    (disk.folder / "features" / ".lock").touch()
    (disk.folder / "locks").mkdir()
    chunk = dataset._extract_chunk

    def with_a_full_disk(one) -> int:
        disk.fill()
        return chunk(one)

    monkeypatch.setattr(dataset, "_extract_chunk", with_a_full_disk)
    status, _, err = run(train.main, *small)
    assert status == 1
    assert re.search(rf"({FULL}): {disk.folder}/features/\w+\.npz\.", err)
    assert "What was finished is kept; mend this and run the same command again" in err
    assert not list(disk.folder.rglob("*.part"))


def test_a_disk_that_goes_away_during_a_training_is_said_and_forgotten(
    small, run, tmp_path, monkeypatch
):
    chunk = dataset._extract_chunk
    corpus, away = tmp_path / "corpus", tmp_path / "away"

    def without_the_disk(one) -> int:
        corpus.rename(away)
        return chunk(one)

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_extract_chunk", without_the_disk)
        status, _, err = run(train.main, *small)
    away.rename(corpus)
    assert status == 1
    assert "No such file or directory" in err
    assert "mend this and run the same command again" in err
    status, _, err = run(train.main, *small)
    assert status == 0
    assert "left out" not in err


def test_training_material_that_finds_no_room_is_an_error_not_a_crash(disk, corpus, tmp_path):
    found = extract(corpus, tmp_path / "cache", [()])
    disk.fill()
    with pytest.raises(OSError, match=FULL):
        dataset.pack(found, disk.folder / "frames.npy")
    disk.free()
    dataset.pack(found, disk.folder / "frames.npy")
    assert len(dataset.Packed.open(disk.folder / "frames.npy").frames)
    assert not list(disk.folder.glob(".*"))


def test_a_model_that_finds_no_room_leaves_nothing(disk):
    """The network fits, its twin for LiteRT does not: TensorFlow has an error of its own for it."""
    if not disk._mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, disk._hard))
    with pytest.raises(OSError, match=FULL) as caught:
        make_model(disk.folder / "model", "vector")
    assert caught.value.filename == str(disk.folder / "model")
    assert not os.listdir(disk.folder)


# ------------------------------------------------------------------------------------ model folders


def test_a_read_only_model_is_used_but_not_replaced(read_only, sounds, small, run):
    status, _, _ = run(test_model.main, sounds, "--model", read_only, "--quiet")
    assert status == test_model.OK
    for output in (read_only, read_only.parent / "beside" / "it"):
        status, _, err = run(train.main, *small[:-1], output)
        assert status == 2
        assert "must not be written to. Allow it, or name another folder with --output" in err


def spoil(model: Path, how: str) -> None:
    """Do to a model folder what may happen to one."""
    if how == "missing":
        (model / "network.tflite").unlink()
    elif how == "changed":
        with (model / "network.tflite").open("r+b") as file:
            file.write(b"other")
    else:
        manifest = json.loads((model / "manifest.json").read_text())
        (model / "manifest.json").write_text(json.dumps(manifest | {"feature_version": 0}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"network\.tflite cannot be read .* Fetch the model folder again"),
        ("changed", r"not the file that the manifest describes .* Fetch the model folder again"),
        ("version", r"trained on version 0 of the features, .* Train it again with train\.py"),
    ],
)
def test_a_spoilt_model_is_one_line(how, message, tiny_model, sounds, tmp_path, run, capsys):
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    spoil(model, how)
    table = tmp_path / "table.csv"
    status, out, err = run(test_model.main, sounds, "--model", model, "--output", table)
    assert (status, out, err.count("\n")) == (test_model.WRONG_USAGE, "", 1)
    assert re.search(message, err)
    assert not list(tmp_path.glob("table*"))


def test_two_trainings_into_one_folder_are_refused(small, run, monkeypatch):
    monkeypatch.setattr(corpora, "scan", None)  # said before any work
    with train.reserved(Path(small[-1])):
        status, _, err = run(train.main, *small)
        assert (status, err.count("\n")) == (2, 1)
        assert "Another training writes" in err
        with train.reserved(Path(small[-1], "beside")):
            pass
    with train.reserved(Path(small[-1])):
        pass


def test_two_trainings_extract_one_after_the_other(corpus, tmp_path, caplog):
    cache = tmp_path / "cache"
    with files.alone(cache / ".lock"):
        (cache / ".half.1.part").touch()
        other = threading.Thread(target=extract, args=(corpus, cache, [()]))
        other.start()
        while dataset.WAITING not in caplog.messages:
            assert other.is_alive()
            time.sleep(0.01)
        assert not list(cache.glob("*.npz"))
    other.join()
    assert len(list(cache.glob("*.npz"))) == 8
    assert not list(cache.glob("*.part"))


# --------------------------------------------------------------------------------------- the clock


def test_a_clock_that_jumps_costs_nothing(sounds, tiny_model, tmp_path, run, monkeypatch):
    for number, when in enumerate((0, 2**31, 2**33, 1)):  # 1970, 2038, 2242: files of such clocks
        os.utime(sounds / f"{number}.wav", (when, when))
    clock = iter(np.random.default_rng(0).uniform(0, 2**33, 10**6))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    command = [sounds, "--model", tiny_model, "--jobs", 1, "--output"]
    assert run(test_model.main, *command, tmp_path / "straight.csv")[0] == test_model.OK
    with monkeypatch.context() as patch:
        patch.setattr(test_model, "_conclude", lambda *_: test_model.INTERRUPTED)
        run(test_model.main, *command, tmp_path / "table.csv")
    _, _, err = run(test_model.main, *command, tmp_path / "table.csv")
    assert "4 of 4 files were done before" in err
    assert (tmp_path / "table.csv").read_text() == (tmp_path / "straight.csv").read_text()


def test_clips_of_any_date_are_extracted_once(corpus, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    for number, clip in enumerate(sorted(folder.rglob("*.wav"))):
        os.utime(clip, (number * 2**28, number * 2**28))
    first = extract(folder, tmp_path / "cache", [()])
    monkeypatch.setattr(dataset, "_extract_chunk", None)
    assert extract(folder, tmp_path / "cache", [()]).copies == first.copies


def test_a_clock_before_1980_is_refused_before_any_work(small, run, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda: time.gmtime(0))
    status, _, err = run(train.main, *small)
    assert status == 2
    assert err == "train.py: The clock of this machine says 1970. Set it to the time of day.\n"


# ------------------------------------------------------------------------------------ out of memory


def starved_training(*_: object) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**24, resource.RLIM_INFINITY))
    np.ones(2**27)


def killed_training(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is that of Linux")
@pytest.mark.parametrize("work", [starved_training, killed_training])
def test_a_training_out_of_memory_is_said(small, run, monkeypatch, work):
    monkeypatch.setattr(side_by_side, "_train", work)
    monkeypatch.setattr(workers, "start", abs)  # which is quicker
    status, _, err = run(train.main, *small)
    assert status == 1
    assert "memory ran out. What was finished is kept" in err
    assert "a smaller --jobs" in err


def test_an_extraction_out_of_memory_is_said(small, run, monkeypatch):
    def starved(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(dataset, "_extract_chunk", starved)
    status, _, err = run(train.main, *small)
    assert status == 1
    assert "memory ran out. What was finished is kept" in err


def test_no_memory_for_processes_is_one_line(sounds, tiny_model, tmp_path, run, monkeypatch):
    def no_process(*_: object, **__: object) -> Iterator[object]:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        yield

    monkeypatch.setattr(workers, "stream", no_process)
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # the output of the tests goes on
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    command = [sounds, "--model", tiny_model, "--jobs", 2, "--output", tmp_path / "table.csv"]
    status, _, err = run(test_model.main, *command, "--quiet")
    assert status == test_model.WRONG_USAGE
    assert err.startswith("test_model.py: [Errno 12] Cannot allocate memory. Mend this and run")


# ---------------------------------------------------------------------------------- the same again


def test_two_processes_train_the_same_weights(corpus, tmp_path):
    """Also where the second has less left to do, and so more of the machine."""
    found = extract(corpus, tmp_path / "features", [(), NOISY])
    job = side_by_side.Job("vector", found, TWO_EMOTIONS, 3, tmp_path)
    weights, records = [], []
    for _ in range(2):
        finished = crossvalidation.run(job, "speaker", folds=2, seeds=[0], jobs=2)
        results = [fold.result for fold in finished]
        records.append(evaluation.records(found.table, "speaker", TWO_EMOTIONS, results))
        file = finished[0].ensemble.tasks[0].file
        with np.load(file) as arrays:
            weights.append(dict(arrays))
        file.unlink()
    for name in weights[0]:
        np.testing.assert_array_equal(weights[0][name], weights[1][name], err_msg=name)
    assert records[0] == records[1]
