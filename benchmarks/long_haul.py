"""Weeks in short: ten thousand answers of one process, as many of the page, fifty visitors at once.

    python benchmarks/long_haul.py DATA

DATA holds ravdess/. What each part looks at:

api      the memory of a process that classifies clip after clip
page     the memory of the page's server: visitors come one after the other, bring a clip, then
         nineteen others together, and go
crowd    fifty visitors who each bring clip after clip for ten minutes: has each one got the answers
         to what they brought, and nothing of anybody else?

Clips are of four seconds, no two the same to the page. Visitors speak its protocol as a browser
does, but draw nothing (page_load.py). Memory counts from the end of a warm-up, in which caches
fill. Streamlit keeps a visit for two minutes after its end, so the memory of the page is compared
when nobody has come for as long. Ends with status 1 where memory grew by more than 20 MB or an
answer was wrong.

Linux only. Writes benchmarks/results/long_haul.json; `--parts` leaves the other parts in it alone.
"""

import argparse
import itertools
import json
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks.page_load import CORES, PATIENCE, Clip, Visitor, draw, resident, serve  # noqa: E402
from classifier import EmotionClassifier  # noqa: E402
from views import text  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "long_haul.json"
ANSWERS = 10_000
WARM_UP = 2_000  # answers before memory counts
REST = 125  # seconds until the page has forgotten a visit
AFTERWARDS = 5  # visits
GROWTH_MB = 20
LOOKS = 20  # at memory, in between
TOGETHER = 20  # clips of a visit
VISITORS = 50
KINDS = 100  # of clips, by their sound

Part = dict[str, Any]  # what is written of a part


def main() -> int:
    """Run the parts that are asked for, and write the results file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds ravdess")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=10, help="of the crowd (default: 10)")
    options = parser.parse_args()
    sounds = list(draw(options.data / "ravdess", KINDS))
    content = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    content["machine"] = {"cores": os.cpu_count()}
    packages = ("streamlit", "numpy", "ai-edge-litert")
    content["versions"] = {"python": platform.python_version()} | {p: version(p) for p in packages}
    for name in options.parts:
        load = os.getloadavg()[0]
        content[name] = {**PARTS[name](sounds, options.minutes), "load_before": round(load, 1)}
        RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(content[name]), flush=True)
    return 1 if any(content[name]["faults"] for name in options.parts) else 0


def unique(sounds: list[Clip], *, seed: int = 0) -> Iterator[Clip]:
    """Yield clips without end, each with a name and bytes of its own, and the sound of one."""
    rng = np.random.default_rng(seed)
    for number in itertools.count():
        clip = sounds[rng.integers(len(sounds))]
        name = f"visitor{seed:02}-{number:05}.wav"
        yield Clip(name, clip.content + f"{seed} {number}".encode(), clip.answer)


def api(sounds: list[Clip], _minutes: float) -> Part:
    """Classify clip after clip in this process."""
    model = EmotionClassifier.load(ROOT / "model" / "frames")
    clips = unique(sounds)

    def answer() -> tuple[int, list[str]]:
        clip = next(clips)
        said = text.details(model.classify(clip.content))
        return 1, [] if said == clip.answer else [f"{clip.name}: {said}"]

    return count(answer, process=os.getpid())


def page(sounds: list[Clip], _minutes: float) -> Part:
    """Let visitors come one after the other."""
    clips = unique(sounds)
    with serve() as (address, server):

        def visit() -> tuple[int, list[str]]:
            visitor = Visitor(address)
            with visitor.page():
                faults = ask(visitor, next(clips))[1]
                rest = list(itertools.islice(clips, TOGETHER - 1))
                shown: set[str] = set()
                visitor.bring(rest, see=lambda message: shown.update(names(message)))
            missing = {clip.name for clip in rest} ^ shown
            return TOGETHER, faults + [f"{name}: shown or not" for name in sorted(missing)]

        def settle() -> None:
            time.sleep(REST)
            # It is when others end that old visits are forgotten, and not at once.
            for _ in range(AFTERWARDS):
                visit()

        return count(visit, process=server, settle=settle) | {"server_cores": CORES}


def count(
    work: Callable[[], tuple[int, list[str]]],
    *,
    process: int,
    settle: Callable[[], None] = lambda: None,
) -> Part:
    """Work until there are enough answers; return what the memory of a process did meanwhile.

    Args:
        work: returns the number of answers that it got, and what was wrong.
        process: its memory is looked at.
        settle: called before the first look and the last one.
    """
    answers, looks, wrong = 0, [], []
    with tqdm(total=WARM_UP + ANSWERS, unit="answer") as bar:
        for look in range(LOOKS + 1):
            while answers < WARM_UP + look * ANSWERS / LOOKS:
                done, faults = work()
                answers += done
                wrong += faults
                bar.update(done)
            if look in (0, LOOKS):
                settle()
            looks.append(resident(process))
    growth = looks[-1] - looks[0]
    faults = wrong + ([f"memory grew by {growth} MB"] if growth > GROWTH_MB else [])
    return {
        "answers": answers,
        "wrong": len(wrong),
        "memory_mb": looks,
        "growth_mb": growth,
        "faults": faults,
    }


def crowd(sounds: list[Clip], minutes: float) -> Part:
    """Let visitors bring clip after clip, all of them at once."""
    with serve() as (address, server):
        end: list[float] = []

        def begin() -> None:
            memory.append(resident(server))
            end.append(time.monotonic() + 60 * minutes)

        memory: list[int] = []
        ready = threading.Barrier(VISITORS, begin, timeout=PATIENCE)

        def stay(number: int) -> tuple[list[float], list[str]]:
            clips, visitor = unique(sounds, seed=number), Visitor(address)
            waits: list[float] = []
            wrong: list[str] = []
            with visitor.page():
                ready.wait()
                while time.monotonic() < end[0]:
                    wait, faults = ask(visitor, next(clips))
                    waits.append(wait)
                    wrong += faults
            return waits, wrong

        with ThreadPoolExecutor(VISITORS) as pool:
            found = list(pool.map(stay, range(VISITORS)))
        memory.append(resident(server))
    waits = [wait for stayed, _ in found for wait in stayed]
    wrong = [fault for _, faults in found for fault in faults]
    return {
        "visitors": VISITORS,
        "minutes": minutes,
        "answers": len(waits),
        "wrong": len(wrong),
        "wait_p50_s": round(float(np.percentile(waits, 50)), 2),
        "wait_p95_s": round(float(np.percentile(waits, 95)), 2),
        "memory_mb": memory,
        "growth_mb": memory[-1] - memory[0],
        "server_cores": CORES,
        "faults": wrong,
    }


def ask(visitor: Visitor, clip: Clip) -> tuple[float, list[str]]:
    """Bring a clip; return the seconds until it is answered, and what is wrong with the answer."""
    shown: set[str] = set()
    start = time.perf_counter()
    try:
        wait, _ = visitor.ask(clip, see=lambda message: shown.update(names(message)))
    except RuntimeError as error:
        return time.perf_counter() - start, [str(error)]
    return wait, [f"{clip.name}: {name} is shown" for name in sorted(shown - {clip.name})]


def names(message: ForwardMsg) -> set[str]:
    """Return the names of clips in what a message draws."""
    drawn = message.delta.SerializeToString()
    return {name.decode() for name in re.findall(rb"visitor\d\d-\d{5}\.wav", drawn)}


PARTS = {"api": api, "page": page, "crowd": crowd}

if __name__ == "__main__":
    sys.exit(main())
