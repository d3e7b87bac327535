"""What becomes of sounds, folders, archives and lists that mean no good.

    python benchmarks/fuzz.py [--cases N] [--first NUMBER] [--jobs N] [--minutes N]

Case NUMBER of tests/hostile.py is the same everywhere. Each is asked about in a process with a
limit on time and memory: one that dies is replaced, and its case is a row. Then come some large
ones, each through the command. A promise is broken where there is neither answer nor one clear
line, where something was written, a sound beside it was not heard, or a limit was passed.

Linux only. Writes benchmarks/results/fuzz.json. Stopped, the same command goes on from there.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import hostile  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
from tqdm import tqdm  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
CACHE = ROOT / ".cache"
SECONDS, MEGABYTES = 60, 600  # limits of a case
LARGE_SECONDS = 300
WORKER_CASES = 2_000  # until a worker is replaced, so that none hides what another left behind
OUTCOMES = ("heard", "some heard", "said why not")

Case = dict[str, Any]


def main() -> int:
    """Run, write the results file and print the table."""
    options = _parser().parse_args()
    if options.worker:
        work()
        return 0
    wanted = range(options.first, options.first + options.cases)
    log = CACHE / f"fuzz-{_code()}.jsonl"
    CACHE.mkdir(exist_ok=True)
    known = log.read_text("utf-8").splitlines() if log.is_file() else []
    done = [json.loads(line) for line in known if line.endswith("}")]  # the last may be cut
    cases = {case["number"]: case for case in done if case["number"] in wanted}
    missing = [number for number in wanted if number not in cases]
    start = time.monotonic()
    with (
        log.open("a", encoding="utf-8", buffering=1) as lines,
        contextlib.suppress(KeyboardInterrupt),
    ):
        for case in tqdm(watched(missing, options.jobs), "cases", len(wanted), initial=len(cases)):
            lines.write(json.dumps(case) + "\n")
            cases[case["number"]] = case
            if options.minutes and time.monotonic() - start > 60 * options.minutes:
                break
    large = [ask_large(name, write) for name, write in tqdm(LARGE.items(), "large ones")]
    content = summarise(cases.values(), large, options.first)
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for kind, row in [*content["kinds"].items(), ("all", content["all"])]:
        print(f"{kind:30}", " ".join(f"{key} {value:g}" for key, value in row.items()))
    for row in large:
        print(f"{row['what']:50}{row['seconds']:7.1f} s{row['mb']:7.0f} MB  {row['faults']}")
    for case in content["broken"]:
        print(f"case {case['number']}, {case['kind']}: {'; '.join(case['faults'])[:500]}")
    return 1 if content["broken"] or any(row["faults"] for row in large) else 0


def _code() -> str:
    """Return a name for all that decides what becomes of a case."""
    files = [*sorted(ROOT.glob("*.py")), ROOT / "tests" / "hostile.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50_000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--minutes", type=float, help="stop after so long, and report")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser


def work() -> None:
    """Answer each number on standard input with a line of JSON, on what became of that case."""
    import logging
    import resource

    replies = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # decoders in C may print
    os.dup2(nowhere, 2)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        case(0)  # loads all there is to load
        size = _status(os.getpid(), "VmSize")
        most = round((size + 2 * MEGABYTES) * 2**20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for line in sys.stdin:
            replies.write(json.dumps(case(int(line))) + "\n")


def case(number: int) -> Case:
    """Make a case, ask about it, and return what became of it."""
    faults: list[str] = []
    rows: list[hostile.Row] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        kind, path = hostile.make(Path(folder).absolute(), number)
        before = hostile.listing(Path.cwd())
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        start = time.perf_counter()
        try:
            rows = hostile.ask(path)
            faults += hostile.faults(path, rows)
        except Exception as error:  # the worst that can happen, short of a crash
            faults.append(f"exception: {type(error).__name__}: {error}")
        seconds = time.perf_counter() - start
        mb = _status(os.getpid(), "VmHWM")
        if hostile.listing(Path.cwd()) != before:
            faults.append("files changed")
        if mb > MEGABYTES:
            faults.append(f"{mb:.0f} MB")
    outcome = hostile.outcome(rows)
    found = {"number": number, "kind": kind, "outcome": outcome, "faults": faults}
    return found | {"seconds": round(seconds, 4), "mb": round(mb)}


def _status(process: int, key: str) -> float:
    """Return a size, in MB, that Linux keeps of a process."""
    with open(f"/proc/{process}/status", encoding="ascii") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(key)), 0.0)


def watched(numbers: Iterable[int], jobs: int) -> Iterator[Case]:
    """Yield what becomes of cases, in any order, asked about in some processes."""
    waiting = iter(numbers)
    lock = threading.Lock()
    done: queue.Queue[Case | None] = queue.Queue()
    stopped = threading.Event()

    def watch() -> None:
        worker, asked = None, 0
        while not stopped.is_set():
            with lock:
                number = next(waiting, None)
            if number is None:
                break
            if worker is None or asked == WORKER_CASES:
                _end_worker(worker)
                worker, asked = _start_worker(), 0
            asked += 1
            found = _reply(worker, number)
            if found is None:
                worker.kill()
                status = worker.wait()
                fault = f"no answer in {SECONDS} s, or its process died (status {status})"
                found = {"number": number, "kind": "lost", "outcome": "lost", "faults": [fault]}
                found |= {"seconds": float(SECONDS), "mb": 0}
                worker = None
            done.put(found)
        _end_worker(worker)
        done.put(None)

    threads = [threading.Thread(target=watch, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            while (found := done.get()) is not None:
                yield found
    finally:
        stopped.set()


def _start_worker() -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def _end_worker(worker: subprocess.Popen[bytes] | None) -> None:
    if worker:
        worker.communicate()  # closes its input, by which it cleans up and ends


def _reply(worker: subprocess.Popen[bytes], number: int) -> Case | None:
    assert worker.stdin
    assert worker.stdout
    try:
        worker.stdin.write(b"%d\n" % number)
    except BrokenPipeError:
        return None
    ready, _, _ = select.select([worker.stdout], [], [], SECONDS)
    line = worker.stdout.readline() if ready else b""
    return json.loads(line) if line else None


# Large ones: what they need is made here, as no repository should hold it.


def _line(file: IO[bytes]) -> None:
    file.write(b"path,emotion\n" + b"x" * 100 * 2**20 + b",sad\n")


def _cells(file: IO[bytes]) -> None:
    file.write(b"path,emotion\n" + b"x," * 50 * 2**20 + b"sad\n")


def _rows(file: IO[bytes]) -> None:
    file.write(b"path,emotion\n" + b"x,sad\n" * 2 * 2**20)


def _endless_list(file: IO[bytes]) -> None:
    file.write(b"path,emotion\n")
    file.truncate(2**33)


def _endless_sound(file: IO[bytes]) -> None:
    file.write(b"ID3")
    file.truncate(2**33)


def _zeros(file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.wav", bytes(256 * 2**20))


def _entries(file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"{number}.txt", b"")


def _picture(file: IO[bytes]) -> None:
    file.write(hostile.covered(hostile.png(20_000, 20_000)))


def _hours(file: IO[bytes]) -> None:
    with soundfile.SoundFile(file, "w", 4000, 1, "PCM_16", format="FLAC") as sound:
        for _ in range(5):
            sound.write(np.zeros(4000 * 3600, np.int16))


def _channels(file: IO[bytes]) -> None:
    data = bytes(2 * 64 * 768_000 * 2)
    file.write(hostile.wav(data, rate=768_000, channels=64, bits=16, tag=1))


#: By name: the words for the table, and what writes it.
LARGE: dict[str, tuple[str, Callable[[IO[bytes]], None]]] = {
    "line.csv": ("a list with a line of 100 MB", _line),
    "cells.csv": ("a list with a row of 50 million cells", _cells),
    "rows.csv": ("a list of 2 million rows", _rows),
    "endless.csv": ("a list of 8 GB of nothing", _endless_list),
    "endless.mp3": ("an MP3 of 8 GB of nothing", _endless_sound),
    "zeros.zip": ("256 MB of zeros in an archive of 256 KB", _zeros),
    "entries.zip": ("an archive of 60 000 members, none a sound", _entries),
    "picture.mp3": ("an MP3 with a cover picture of 1.2 GB", _picture),
    "hours.flac": ("five hours of silence in a FLAC of 0.3 MB", _hours),
    "channels.wav": ("two seconds of 64 channels at 768 kHz", _channels),
}


def ask_large(name: str, large: tuple[str, Callable[[IO[bytes]], None]]) -> Case:
    """Bring a large file to the command; return what it said, and what it took."""
    words, write = large
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        with path.open("w+b") as file:
            write(file)
        size = path.stat().st_blocks * 512
        command = [sys.executable, str(ROOT / "test_model.py"), name, "--quiet"]
        command += ["--output", "rows.json"]
        start, mb, killed = time.monotonic(), 0.0, False
        with open(f"{folder}/said", "w+", encoding="utf-8") as said:
            running = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
            while running.poll() is None:
                mb = max(mb, _status(running.pid, "VmHWM"))
                if time.monotonic() - start > LARGE_SECONDS or mb > 4 * MEGABYTES:
                    running.kill()
                    killed = True
                time.sleep(0.02)
        seconds = time.monotonic() - start
        faults = ["killed"] if killed else []
        rows = []
        if not killed:
            try:
                rows = json.loads(Path(folder, "rows.json").read_text("utf-8"))
            except OSError:
                faults.append("no table was written")
            faults += hostile.faults(path, [row | {"error": row["error"] or ""} for row in rows])
        if mb > MEGABYTES:
            faults.append(f"{mb:.0f} MB")
    outcome = "; ".join(sorted({row["error"] or row["warning"] or row["emotion"] for row in rows}))
    found = {"what": words, "bytes": size, "said": outcome, "faults": faults}
    return found | {"seconds": round(seconds, 1), "mb": round(mb)}


def summarise(cases: Iterable[Case], large: list[Case], first: int) -> Case:
    """Return the content of the results file."""
    from importlib.metadata import version

    from benchmarks import speed

    cases = list(cases)
    kinds = sorted({case["kind"] for case in cases})
    packages = ("numpy", "soundfile", "av", "soxr", "ai-edge-litert")
    return {
        "command": f"python benchmarks/fuzz.py --first {first} --cases {len(cases)}",
        "machine": speed.machine(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "limits": {"seconds": SECONDS, "mb": MEGABYTES},
        "all": _count(cases),
        "kinds": {kind: _count([case for case in cases if case["kind"] == kind]) for kind in kinds},
        "large": large,
        "broken": [case for case in cases if case["faults"]],
    }


def _count(cases: list[Case]) -> Case:
    return {
        "cases": len(cases),
        **{outcome: sum(case["outcome"] == outcome for case in cases) for outcome in OUTCOMES},
        "broken": sum(bool(case["faults"]) for case in cases),
        "slowest_s": max((case["seconds"] for case in cases), default=0.0),
        "most_mb": max((case["mb"] for case in cases), default=0),
    }


if __name__ == "__main__":
    sys.exit(main())
