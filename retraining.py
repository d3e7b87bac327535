"""Training from the page: what is set aside, and a process that outlives page, tab and crash.

One training at a time. Its process holds a lock for as long as it lives, however it ends, and all
else that is known of it lies in files. So every visit finds it, also after a restart of the page,
may stop it, and let it go on from the last finished epoch: `train.py` keeps the rest.
"""

import contextlib
import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pandas as pd

import corpora
import files
import progress
import protocols
import train
from my_recordings import Kept, name

FOLDER = train.CACHE / "retraining"
PROGRAM = [sys.executable, "-u", str(train.ROOT / "train.py")]
MODELS = train.ROOT / "model"
# A training whose number could not be written down, by which it is stopped, must not begin.
ON_A_WORD = ["sh", "-c", 'read go && exec "$@" < /dev/null', "sh"]
PREFIX = "my-"  # of all models trained here
NICE = 10  # the page goes first

# A training meets as many clips as that of the shipped `frames` did, but none more often than a
# small corpus allows (training.EPOCHS).
MEETINGS = 445_000
EPOCHS = {"frames": 60, "vector": 40}
MEMBERS = {"frames": 2, "vector": 3}  # training.MEMBERS, without a wait for TensorFlow
# Seconds of one core, measured in 2026: to extract a clip and its changed copies, and to meet one.
EXTRACTION, MEETING, BEGINNING = 0.09, 0.004, 60.0
PATIENCE = 5.0  # seconds for a process to end

State = Literal["running", "stopped", "failed", "finished"]


class RetrainingError(Exception):
    """A training cannot be started; the message says why and what to do."""


class BusyError(RetrainingError):
    """A training runs already."""


@dataclass(frozen=True)
class Training:
    """The last training that was started here.

    Attributes:
        model: name of its folder.
        state: 'stopped' is whatever did not come to an end.
        error: why it failed, or ''.
        lines: of its `--progress`.
    """

    model: str
    state: State
    error: str
    lines: list[dict[str, Any]]


def set_aside(kept: Sequence[Kept]) -> set[Kept]:
    """Return the clips that a training must not learn, because it will be tested on them.

    Whole voices, those with the fewest clips first, where they make up an eighth to a third of all:
    then the test asks how a voice fares that the model has not heard. Otherwise a quarter of each
    emotion's recordings. All clips of a recording stay together. Drawn by digest, mostly the same
    ones are set aside as others join.
    """
    aside: set[Kept] = set()
    voices = Counter(clip.voice for clip in kept)
    for voice in sorted(voices, key=lambda voice: (voices[voice], voice)):
        if len(aside) + voices[voice] > len(kept) / 3:
            break
        aside.update(clip for clip in kept if clip.voice == voice)
    mixed = {clip.recording for clip in aside} & {clip.recording for clip in set(kept) - aside}
    if len(aside) >= len(kept) / 8 and not mixed:
        return aside
    drawn: set[str] = set()
    for emotion in {clip.emotion for clip in kept}:
        recordings = sorted({clip.recording for clip in kept if clip.emotion == emotion})
        drawn.update(recordings[: (len(recordings) + 1) // 4])
    return {clip for clip in kept if clip.recording in drawn}


def unlearned(kept: Sequence[Kept], manifests: Sequence[Mapping[str, Any]]) -> list[Kept]:
    """Return the clips of recordings from which none of some models has learned."""
    learned = {
        recording
        for manifest in manifests
        for recording in manifest["training"].get("my_recordings", [])
    }
    return [clip for clip in kept if clip.recording not in learned]


def chance(only_old: int, only_new: int) -> float:
    """Return how likely two equally good models differ as much or more (McNemar's exact test).

    Args:
        only_old, only_new: clips on which the one is right and the other is not.
    """
    from scipy.stats import binomtest

    clips = only_old + only_new
    return float(binomtest(min(only_old, only_new), clips).pvalue) if clips else 1.0


def sources() -> list[Path]:
    """Return what lies in the data folder beside one's own clips: folders and lists."""
    found = (entry for entry in train.DATA.iterdir() if entry.name != corpora.OWN)
    return sorted(
        entry
        for entry in found
        if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix.lower() == ".csv")
    )


def epochs(clips: int, *, network: str) -> int:
    """Return how often a training meets each of its clips."""
    return max(1, min(EPOCHS[network], MEETINGS // clips))


def minutes(clips: int, *, network: str) -> int:
    """Return roughly how long a training takes on this machine."""
    cores = os.cpu_count() or 1
    rounds = math.ceil(MEMBERS[network] / cores)  # of trainings side by side
    learning = rounds * epochs(clips, network=network) * clips * MEETING
    return math.ceil((BEGINNING + learning + clips * EXTRACTION / cores) / 60)


def start(model: str, kept: Sequence[Kept], *, sources: Sequence[Path], network: str) -> None:
    """Begin to train a model on what is not set aside of some clips, and on other corpora.

    Args:
        model: its name is made of this.
        kept: clips of `my_recordings`.
        sources: folders and lists as `corpora.scan` takes them.
        network: 'frames' or 'vector'.

    Raises:
        RetrainingError: a training runs, a model has that name, or not on this system.
        corpora.CorpusError, protocols.ProtocolError: the clips allow no training.
        my_recordings.NotKeptError: the name cannot be a file's.
        OSError: the disk is full, or must not be written to.
    """
    output = MODELS / f"{PREFIX}{name(model)}"
    if output.exists():
        raise RetrainingError(f"There is a model {output.name} already. Choose another name.")
    with _lock() as lock:
        # Until this one is under way, others must not see or stop the one before in its place.
        for file in (_process_file(), _job_file(), _progress_file()):
            file.unlink(missing_ok=True)
        files.sweep(FOLDER)
        clips = FOLDER / "clips.csv"
        aside = set_aside(kept)
        _write(clips, _listed([clip for clip in kept if clip not in aside]))
        table = corpora.scan(clips, *sources)
        command = [*PROGRAM, "--data", clips, *sources, "--network", network, "--evaluate", "none"]
        command += ["--epochs", epochs(len(table), network=network), "--seed", _seed(table)]
        command += ["--output", output, "--progress", _progress_file()]
        (FOLDER / "log.txt").unlink(missing_ok=True)
        _write(_job_file(), json.dumps({"model": output.name, "command": list(map(str, command))}))
        _launch(lock)


def go_on() -> None:
    """Let the last training go on from where it was stopped.

    Raises:
        BusyError: it runs.
        RetrainingError: it was forgotten.
        OSError: the disk is full, or must not be written to.
    """
    with _lock() as lock:
        if not _job_file().exists():
            raise RetrainingError("There is no training to go on with. Start a new one.")
        _launch(lock)


def stop() -> None:
    """End the training that runs, if one does; what it finished is kept."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        group = int(_process_file().read_text(encoding="utf-8"))
        for sign in (signal.SIGTERM, signal.SIGKILL):
            end = time.monotonic() + PATIENCE
            while running() and time.monotonic() < end:
                os.killpg(group, sign)
                time.sleep(0.1)


def forget() -> None:
    """Forget the last training, which does not run any more; its model stays."""
    with _lock():
        _job_file().unlink(missing_ok=True)


def last() -> Training | None:
    """Return the last training that was started here, unless it was forgotten."""
    is_running = running()  # asked first: what ends in between is then seen as ended next time
    try:
        job = json.loads(_job_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # or damaged: then nothing can be told of it
        return None
    lines = progress.read(_progress_file())
    end = lines[-1] if lines else {}
    state: State = "stopped"
    if is_running:
        state = "running"
    elif "finished" in end:
        state = "finished"
    elif "error" in end:
        state = "failed"
    return Training(job["model"], state, end.get("error", ""), lines)


def running() -> bool:
    """Tell whether a training runs."""
    try:
        with _lock():
            return False
    except BusyError:
        return True


@contextlib.contextmanager
def _lock() -> Iterator[BinaryIO]:
    """Hold the lock that a training inherits and holds as long as it lives."""
    if os.name == "nt":  # no sessions of processes, no locks that a child inherits
        raise RetrainingError(
            "The page trains on Linux and macOS alone. Here, run: "
            "python train.py --data data/my_recordings --output model/my-voice"
        )
    try:
        with files.alone(FOLDER / "lock") as lock:
            yield lock
    except files.BusyError:
        raise BusyError(
            "A training is running already. Wait until it is done, or stop it."
        ) from None


def _launch(lock: BinaryIO) -> None:
    """Start the command of the job file in a session of its own; the lock goes with it."""
    command = json.loads(_job_file().read_text(encoding="utf-8"))["command"]
    # Whoever stops this training must not meet the number of the one before.
    _process_file().unlink(missing_ok=True)
    with (FOLDER / "log.txt").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            [*ON_A_WORD, *command],
            cwd=train.ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    # Somebody has to ask for the end of a child, or it stays in the table of processes.
    threading.Thread(target=process.wait, daemon=True).start()
    assert process.stdin
    with process.stdin as word:
        _write(_process_file(), str(process.pid))
        # Never above that of the page, which nobody but root may ask for.
        nice = max(NICE, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, process.pid, nice)
        word.write(b"go\n")


def _seed(table: pd.DataFrame) -> int:
    """Return the first seed that sets none of one's own voices aside for calibration.

    Where there are no others, any will do.

    Raises:
        protocols.ProtocolError: the clips allow no training.
    """
    for seed in range(100):
        _, validation = protocols.carve_final(table, seed=seed)
        if corpora.OWN not in set(table.corpus.iloc[validation]):
            return seed
    return 0


def _listed(kept: Sequence[Kept]) -> str:
    """Return a list of clips as `corpora.read_list` reads it."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["path", "emotion"])
    rows.writerows([clip.file, clip.emotion] for clip in kept)
    return text.getvalue()


def _write(file: Path, text: str) -> None:
    with files.whole(file) as part:
        part.write_text(text, encoding="utf-8")


def _job_file() -> Path:
    return FOLDER / "job.json"


def _process_file() -> Path:
    return FOLDER / "process.txt"


def _progress_file() -> Path:
    return FOLDER / "progress.jsonl"
