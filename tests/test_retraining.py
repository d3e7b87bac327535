"""Trainings from the page: what is set aside, and that nothing ends or loses one by accident."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from conftest import ROOT, TWO_EMOTIONS, make_corpus, speechlike
from hypothesis import given
from hypothesis import strategies as some

import audio
import corpora
import model_folder
import my_recordings
import protocols
import retraining
import train
import training
from my_recordings import Kept

# train.py, its caches where the test wants them; then what the page hands over.
TRAIN = (
    "import sys, pathlib, train;train.CACHE = pathlib.Path(sys.argv.pop(1));sys.exit(train.main())"
)
# A page that starts a training and is never heard of again.
PAGE = """
import json, pathlib, sys, time
import my_recordings, retraining
root = pathlib.Path(sys.argv[1])
retraining.FOLDER, retraining.MODELS = root / "retraining", root / "model"
retraining.PROGRAM = json.loads(sys.argv[2])
retraining.EPOCHS["vector"] = 60
my_recordings.FOLDER = root / "data" / "my_recordings"
kept = my_recordings.clips()
retraining.start("Try 1", kept, sources=[root / "data" / "others"], network="vector")
time.sleep(600)
"""


def clip(voice: str, emotion: str, recording: str, stretch=None) -> Kept:
    return Kept(Path(f"{voice}_{emotion}_{recording}.flac"), voice, emotion, recording, stretch)


@given(
    some.lists(
        some.builds(
            clip,
            some.sampled_from(["alice", "bob", "eve", "joe"]),
            some.sampled_from(corpora.EMOTIONS),
            some.integers(0, 30).map(lambda number: f"{number * 7919 % 997:016x}"),
            some.sampled_from([None, (0.0, 3.0), (1.5, 4.5)]),
        ),
        unique_by=lambda kept: (kept.recording, kept.stretch),
    )
)
def test_what_is_set_aside_shares_no_recording_with_what_is_learned(kept):
    aside = retraining.set_aside(kept)
    learned = [one for one in kept if one not in aside]
    assert aside == retraining.set_aside(kept[::-1])
    assert learned or not kept
    assert not {one.recording for one in aside} & {one.recording for one in learned}


def test_a_small_voice_is_set_aside_whole_and_a_single_one_in_part():
    alice = [clip("alice", emotion, f"{n}") for emotion in ("angry", "sad") for n in range(8)]
    bob = [clip("bob", "sad", f"b{n}") for n in range(4)]
    assert retraining.set_aside(alice + bob) == set(bob)
    # Too few clips of the other voice to tell anything: a quarter of each emotion instead.
    aside = retraining.set_aside(alice + bob[:1])
    assert sorted((one.voice, one.emotion) for one in aside) == [
        *[("alice", "angry")] * 2,
        *[("alice", "sad")] * 2,
    ]
    assert retraining.set_aside(alice[:2]) == set()


def test_a_model_is_never_compared_on_what_one_of_the_two_has_learned():
    kept = [
        clip("alice", "sad", "1", (0.0, 3.0)),
        clip("alice", "sad", "1"),
        clip("bob", "sad", "2"),
    ]
    shipped, own = {"training": {}}, {"training": {"my_recordings": ["1"]}}
    assert retraining.unlearned(kept, [shipped]) == kept
    assert retraining.unlearned(kept, [shipped, own]) == kept[2:]


def test_chance_is_that_of_the_exact_test():
    assert retraining.chance(0, 0) == 1.0
    assert retraining.chance(3, 3) == 1.0
    assert retraining.chance(0, 6) == pytest.approx(2 / 2**6)
    assert retraining.chance(6, 0) == retraining.chance(0, 6)


def test_the_passes_are_those_of_the_recipes_but_for_large_corpora():
    assert retraining.EPOCHS == training.EPOCHS
    assert retraining.epochs(100, network="frames") == training.EPOCHS["frames"]
    shipped = model_folder.read(ROOT / "model" / "frames")
    clips = sum(corpus["clips"] for corpus in shipped["corpora"].values())
    assert retraining.epochs(clips, network="frames") == shipped["training"]["epochs"]


def test_more_clips_and_more_networks_than_cores_take_longer(monkeypatch):
    assert retraining.MEMBERS == training.MEMBERS
    assert retraining.minutes(9900, network="frames") > retraining.minutes(100, network="frames")
    monkeypatch.setattr(retraining, "EPOCHS", {"frames": 40, "vector": 40})
    monkeypatch.setattr(retraining.os, "cpu_count", lambda: 2)
    two = [retraining.minutes(9900, network=network) for network in ("frames", "vector")]
    monkeypatch.setattr(retraining.os, "cpu_count", lambda: 4)
    four = [retraining.minutes(9900, network=network) for network in ("frames", "vector")]
    assert two[1] > two[0]
    assert four[1] == four[0]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A place with sixteen clips of one's own, and three other voices; nothing is started."""
    monkeypatch.setattr(retraining, "FOLDER", tmp_path / "retraining")
    monkeypatch.setattr(retraining, "MODELS", tmp_path / "model")
    monkeypatch.setattr(my_recordings, "FOLDER", tmp_path / "data" / corpora.OWN)
    make_corpus(tmp_path / "data" / "others", speakers=3, clips=2, first=10)
    for number in range(16):
        wav = io.BytesIO()
        soundfile.write(wav, speechlike(0.6, seed=number), audio.SAMPLE_RATE, format="WAV")
        emotion = TWO_EMOTIONS[number % 2]
        my_recordings.keep(wav.getvalue(), voice="alice", emotion=emotion)
    yield tmp_path
    retraining.stop()


def program(monkeypatch, script: str) -> None:
    """Put a script in the place of train.py; its last argument is the file for progress."""
    monkeypatch.setattr(retraining, "PROGRAM", [sys.executable, "-c", script])


def start(place: Path, name: str = "one") -> None:
    sources = [place / "data" / "others"]
    retraining.start(name, my_recordings.clips(), sources=sources, network="vector")


def wait_for(state: str) -> retraining.Training:
    end = time.monotonic() + 120
    while (last := retraining.last()) is None or last.state != state:
        assert time.monotonic() < end, (retraining.FOLDER / "log.txt").read_text()
        time.sleep(0.05)
    return last


def test_the_training_goes_on_when_page_and_training_are_killed(place):
    command = [sys.executable, "-c", TRAIN, str(place / "cache")]
    page = subprocess.Popen([sys.executable, "-c", PAGE, place, json.dumps(command)], cwd=ROOT)
    while not losses(retraining.last()) and page.poll() is None:
        time.sleep(0.05)
    page.kill()
    page.wait()
    before = len(losses(retraining.last()))
    while len(losses(retraining.last())) == before:
        assert retraining.running()
        time.sleep(0.05)
    with pytest.raises(retraining.BusyError, match="running already"):
        start(place)

    os.kill(int((retraining.FOLDER / "process.txt").read_text()), signal.SIGKILL)
    stopped = wait_for("stopped")
    assert stopped.model == "my-try-1"
    assert not (place / "model").exists()
    retraining.go_on()
    finished = wait_for("finished")
    passes = {}
    for line in losses(finished):
        passes.setdefault(line["training"], []).append(line["epoch"])
    assert len(passes) == retraining.MEMBERS["vector"]
    for numbers in passes.values():
        assert numbers == sorted(set(numbers))  # none is repeated
        assert numbers[-1] == 60

    manifest = model_folder.read(place / "model" / "my-try-1")
    kept = my_recordings.clips()
    aside = retraining.set_aside(kept)
    assert len(aside) == 4
    assert set(retraining.unlearned(kept, [manifest])) == aside
    assert manifest["corpora"][corpora.OWN]["clips"] == 12
    assert list(manifest["corpora"]) == [corpora.OWN, "others"]
    with pytest.raises(retraining.RetrainingError, match="a model my-try-1 already"):
        start(place, "Try 1")


def losses(training: retraining.Training | None) -> list[dict]:
    return [line for line in training.lines if "loss" in line] if training else []


def test_stop_ends_also_what_does_not_listen(place, monkeypatch):
    program(
        monkeypatch,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    )
    monkeypatch.setattr(retraining, "PATIENCE", 1.0)
    assert retraining.last() is None
    start(place)
    assert wait_for("running").error == ""
    time.sleep(0.5)  # until it is deaf
    retraining.stop()
    assert wait_for("stopped").model == "my-one"
    retraining.forget()
    assert retraining.last() is None
    start(place)  # another one may begin


def test_a_training_that_fails_says_why(place, monkeypatch):
    script = "import sys; from progress import Progress; from pathlib import Path;"
    script += "Progress(Path(sys.argv[-1])).note(error='the disk is full')"
    program(monkeypatch, script)
    start(place)
    assert wait_for("failed").error == "the disk is full"
    retraining.go_on()  # what was wrong is mended, or it fails again
    wait_for("failed")


def test_progress_needs_a_place(place, capsys):
    file = place / "nowhere" / "progress.jsonl"
    assert train.main(["--data", str(place / "data"), "--progress", str(file)]) == 2
    assert "lies in no folder that exists" in capsys.readouterr().err


def test_what_allows_no_training_is_said_before_one_starts(place, monkeypatch):
    monkeypatch.setattr(retraining, "PROGRAM", ["never started"])
    with pytest.raises(protocols.ProtocolError, match="too few to set 10% aside"):
        retraining.start("x", my_recordings.clips()[:4], sources=[], network="vector")
    with pytest.raises(my_recordings.NotKeptError):
        start(place, "…")
    assert retraining.last() is None


@pytest.mark.parametrize("content", ["", "{", "\0" * 40])
def test_a_damaged_note_of_a_training_is_none(place, content):
    retraining.FOLDER.mkdir(exist_ok=True)
    (retraining.FOLDER / "job.json").write_text(content)
    assert retraining.last() is None


def test_what_was_forgotten_is_not_gone_on_with(place):
    with pytest.raises(retraining.RetrainingError, match="no training to go on with"):
        retraining.go_on()


def test_while_a_training_is_prepared_nothing_is_seen_or_stopped_in_its_place(place, monkeypatch):
    retraining.FOLDER.mkdir()
    (retraining.FOLDER / "job.json").write_text('{"model": "my-old", "command": []}')
    (retraining.FOLDER / "process.txt").write_text(str(os.getpgid(0)))
    seen = []

    def scan(*sources):
        seen.append(retraining.last())
        retraining.stop()  # nobody
        raise corpora.CorpusError("enough")

    monkeypatch.setattr(corpora, "scan", scan)
    with pytest.raises(corpora.CorpusError, match="enough"):
        start(place, "new")
    assert seen == [None]


def test_the_seed_sets_no_voice_of_ones_own_aside(place):
    for first in (20, 30, 40):
        make_corpus(place / f"data{first}", speakers=2, clips=1, first=first)
    table = corpora.scan(my_recordings.FOLDER, *place.glob("data?0"), place / "data" / "others")
    seed = retraining._seed(table)
    _, validation = protocols.carve_final(table, seed=seed)
    assert corpora.OWN not in set(table.corpus.iloc[validation])


def test_the_sources_are_what_lies_beside_ones_own_clips(place, monkeypatch):
    data = place / "data"
    monkeypatch.setattr(retraining.train, "DATA", data)
    (data / "list.csv").write_text("path,emotion\n")
    (data / "README.md").write_text("")
    (data / ".hidden").mkdir()
    assert retraining.sources() == [data / "list.csv", data / "others"]


def asked(tmp_path, monkeypatch, script: str) -> None:
    """Leave a training that `go_on` starts, which is no more than a script."""
    monkeypatch.setattr(retraining, "FOLDER", tmp_path / "job")
    retraining.FOLDER.mkdir()
    job = {"model": "my-one", "command": [sys.executable, "-c", script]}
    (retraining.FOLDER / "job.json").write_text(json.dumps(job))


def test_a_training_that_nobody_could_stop_does_not_begin(tmp_path, monkeypatch) -> None:
    begun = tmp_path / "begun"
    asked(tmp_path, monkeypatch, f"open({str(begun)!r}, 'w')")
    write = retraining._write

    def full(file, text):
        if file.name == "process.txt":
            raise OSError(28, "No space left on device")
        write(file, text)

    monkeypatch.setattr(retraining, "_write", full)
    with pytest.raises(OSError, match="No space"):
        retraining.go_on()
    while retraining.running():
        time.sleep(0.05)
    assert not begun.exists()


def test_the_number_of_an_earlier_process_does_not_stay(tmp_path, monkeypatch) -> None:
    asked(tmp_path, monkeypatch, "")
    (retraining.FOLDER / "process.txt").write_text("1")

    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(OSError, match="memory"):
        retraining.go_on()
    assert not (retraining.FOLDER / "process.txt").exists()


@pytest.mark.parametrize("page", [0, retraining.NICE + 1])
def test_a_training_never_goes_before_the_page(page, tmp_path, monkeypatch) -> None:
    asked(tmp_path, monkeypatch, "import time; time.sleep(60)")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(os, "getpriority", lambda *_: own + page)
    retraining.go_on()
    monkeypatch.undo()
    monkeypatch.setattr(retraining, "FOLDER", tmp_path / "job")
    number = int((retraining.FOLDER / "process.txt").read_text())
    try:
        assert os.getpriority(os.PRIO_PROCESS, number) == max(retraining.NICE, own + page)
    finally:
        retraining.stop()


def test_voices_are_set_aside_up_to_a_third_of_the_clips() -> None:
    alice = [clip("alice", ("angry", "sad")[n % 2], f"{n:02}") for n in range(12)]
    bob = [clip("bob", ("angry", "sad")[n % 2], f"b{n}") for n in range(8)]
    assert set(bob) - retraining.set_aside(alice + bob)


def test_a_training_that_is_stopped_may_end_what_it_is_at(tmp_path, monkeypatch) -> None:
    told, ready = tmp_path / "told", tmp_path / "ready"
    script = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(told)!r}).touch(), sys.exit()))
pathlib.Path({str(ready)!r}).touch()
time.sleep(600)"""
    asked(tmp_path, monkeypatch, script)
    monkeypatch.setattr(retraining, "PATIENCE", 60.0)
    retraining.go_on()
    while not ready.exists():
        time.sleep(0.05)
    retraining.stop()
    assert told.exists()


def test_a_training_has_the_seed_that_spares_ones_own_clips(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(retraining, "FOLDER", tmp_path / "job")
    monkeypatch.setattr(retraining, "MODELS", tmp_path / "models")
    monkeypatch.setattr(corpora, "scan", lambda *_: range(100))
    monkeypatch.setattr(retraining, "_seed", lambda _: 7)
    monkeypatch.setattr(retraining, "_launch", lambda _: None)
    retraining.start("one", [], sources=[], network="vector")
    command = json.loads((tmp_path / "job" / "job.json").read_text())["command"]
    assert command[command.index("--seed") + 1] == "7"
