"""How fast a folder is classified with all cores, beside the original's way, file by file.

    python benchmarks/folder.py DATA

DATA holds RAVDESS; its speech is the folder. Both sides are whole processes and take turns. The
original's way (`speed.ORIGINAL`: TensorFlow, librosa function by function, `model.predict`) would
take minutes, so it is given one clip, and then `SAMPLE` more: what these took longer is scaled to
the folder. Of `ROUNDS` the fastest counts on both sides: the others met other programs.

Beside it stand the steps that were taken for folders, and two that were not.

Linux only. Writes benchmarks/results/folder.json.
"""

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import joblib  # noqa: E402
import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

import workers  # noqa: E402
from benchmarks import speed  # noqa: E402
from benchmarks.steps import step  # noqa: E402
from inputs import Input  # noqa: E402
from journal import Journal  # noqa: E402

SAMPLE = 100
ROUNDS = 3
ITEMS = 10_000  # that cost nothing but their way


def main() -> int:
    """Measure, write the results file and print the table."""
    clips = speech(__doc__)
    theirs = [sys.executable, "-c", speed.ORIGINAL]
    network = str(ROOT / "model" / "vector")
    with tempfile.TemporaryDirectory() as folder:
        link(clips, Path(folder), len(clips))
        ours = [sys.executable, "test_model.py", folder, "--quiet", "--output", f"{folder}/x.csv"]
        commands = [
            [*theirs, clips[0], network],
            [*theirs, *clips[: 1 + SAMPLE], network],
            ours,
            [*ours, "--jobs", "1"],
            [*ours, "--jobs", str(2 * joblib.cpu_count())],
        ]
        took = [
            [speed.run(command)[0] for command in commands]
            for _ in tqdm(range(ROUNDS), desc="rounds")
        ]
    one, sample, ours_seconds, alone, crowded = np.min(took, axis=0)
    per_clip = (sample - one) / SAMPLE
    theirs_seconds = one + per_clip * (len(clips) - 1)
    what = f"a folder of {len(clips)} clips, all cores"
    rows = [speed.row("d", what, theirs_seconds, ours_seconds, "s", must=12, aim=25)]
    steps = [
        step(
            "a process per core",
            f"nearly {joblib.cpu_count()} times as fast, less a second to start them",
            alone,
            ours_seconds,
            unit="s",
        ),
        step(
            "two processes per core",
            "nothing: none of them waits",
            ours_seconds,
            crowded,
            unit="s",
            kept=False,
        ),
        *way_steps(),
    ]
    original = {"one_clip_s": one, "each_more_s": per_clip}
    write("folder", rows=rows, original=original, steps=steps)
    print(speed.report(rows))
    for made in steps:
        print(f"{made['what']:40} {made['before']:9.3g} → {made['after']:.3g} {made['unit']}")
    return 0


def way_steps() -> list[dict[str, Any]]:
    """Measure what the way of a file costs, beside the work on it: in ms for a thousand."""
    cores = joblib.cpu_count()
    items = [Input(f"folder/{number}.wav", f"/folder/{number}.wav") for number in range(ITEMS)]
    row = dict.fromkeys("abcdefgh", 0.123456789) | {"path": "folder/clip.wav", "error": ""}

    def through_joblib(batch: str | int) -> None:
        tasks = (joblib.delayed(len)(item) for item in items)
        list(joblib.Parallel(cores, batch_size=batch, return_as="generator")(tasks))

    def through_journal() -> None:
        with tempfile.TemporaryDirectory() as folder:
            journal = Journal(Path(folder) / "journal", "")
            journal.plan(items)
            for place, _ in journal.to_do():
                journal.add(place, [row])
            list(journal.done())
            journal.close()

    through_joblib("auto")  # starts the processes
    single, by_16, gathered, kept, listed = (
        fastest(way)
        for way in (
            lambda: through_joblib(1),
            lambda: through_joblib(16),
            lambda: list(workers.stream(len, items, jobs=cores)),
            through_journal,
            lambda: [(item, [dict(row)]) for item in items],
        )
    )
    return [
        step(
            "joblib gathers files to batches of 0.2 s",
            "the way to a process costs a tenth",
            single,
            gathered,
        ),
        step(
            "batches of 16 files instead",
            "less waiting for the last batch, but dearer",
            gathered,
            by_16,
            kept=False,
        ),
        step(
            "files and rows on disk, not in memory",
            "1 % of the time, for flat memory and a run that goes on where it stopped",
            listed,
            kept,
        ),
    ]


def fastest(way: Callable[[], object]) -> float:
    """Return the milliseconds for a thousand items, of the fastest round."""
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        way()
        took.append(time.perf_counter() - start)
    return 1000 * min(took) / (ITEMS / 1000)


def speech(description: str | None) -> list[str]:
    """Read the command line; return the paths of RAVDESS' speech in random order."""
    clips = speed.speech_asked_for(description, least=1000)
    return [str(Path(path).resolve()) for path in clips.path.sample(frac=1, random_state=0)]


def link(clips: Sequence[str], folder: Path, names: int) -> None:
    """Make a folder of so many files, a thousand to a folder, that are links to the clips."""
    for number in range(names):
        clip = Path(clips[number % len(clips)])
        place = folder / f"{number // 1000:03}"
        place.mkdir(exist_ok=True)
        (place / f"{number:06}{clip.suffix}").symlink_to(clip)


def write(name: str, **content: Any) -> None:
    """Write a results file: the content, after how it came about."""
    packages = ("numpy", "librosa", "tensorflow", "ai-edge-litert", "joblib", "distributed")
    about = {
        "command": f"python benchmarks/{name}.py DATA",
        "machine": speed.machine(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
    }
    file = ROOT / "benchmarks" / "results" / f"{name}.json"
    text = json.dumps(about | content, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
