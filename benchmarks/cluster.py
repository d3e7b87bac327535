"""How much faster a Dask cluster of two workers is than one of one worker.

    python benchmarks/cluster.py DATA

DATA holds RAVDESS; its speech, under `FILES` names, is the folder, which `test_model.py
--scheduler` has classified. Each worker is a process of one thread, held to a core of its own, as
on a machine of its own; the scheduler and the command have the other cores. One and two workers
take turns. Of `ROUNDS` the fastest counts on both sides: the others met other programs. Beside it
stands what Dask's setting of malloc would cost, on one core and without Dask.

Linux only, four cores. Writes benchmarks/results/cluster.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from distributed import Client  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks import speed  # noqa: E402
from benchmarks.folder import link, speech, write  # noqa: E402
from benchmarks.steps import step  # noqa: E402

FILES = 3000
ROUNDS = 3
CORES = 4
DASK_MALLOC = ("MALLOC_TRIM_THRESHOLD_=65536",)  # pre-spawn-environ of Dask's nannies
PORT = 8786
ADDRESS = f"tcp://127.0.0.1:{PORT}"


def main() -> int:
    """Measure, write the results file and print the table."""
    clips = speech(__doc__)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < CORES:
        sys.exit(f"benchmarks/cluster.py: {len(cores)} cores found, {CORES} are expected")
    *rest, first, second = cores
    took = []
    with tempfile.TemporaryDirectory() as folder:
        link(clips, Path(folder), FILES)
        command = [sys.executable, "test_model.py", folder, "--scheduler", ADDRESS, "--quiet"]
        for _ in tqdm(range(ROUNDS), desc="rounds"):
            for cores in ([first], [first, second]):
                with cluster(cores):
                    took.append(speed.run(command, cores=len(rest))[0])
        alone = [sys.executable, "test_model.py", folder, "--jobs", "1", "--quiet"]
        given_back, kept = (
            speed.run(["env", *setting, *alone], cores=1)[0] for setting in (DASK_MALLOC, ())
        )
    one, two = np.min(np.reshape(took, (ROUNDS, 2)), axis=0)
    what = f"{FILES} clips on two workers, beside one"
    rows = [speed.row("i", what, one, two, "s", must=1.8, aim=1.95)]
    steps = [
        step(
            "workers keep freed memory for the next array",
            "half of the time, which the system spent on pages given back and asked for again",
            given_back,
            kept,
            unit="s",
        )
    ]
    write("cluster", rows=rows, steps=steps)
    print(speed.report(rows))
    return 0


@contextmanager
def cluster(cores: Sequence[int]) -> Iterator[None]:
    """Run a scheduler, and a worker on each of the cores."""
    parts = [dask("scheduler", "--host", "127.0.0.1", "--port", str(PORT))]
    parts += [dask("worker", ADDRESS, "--nthreads", "1", core=core) for core in cores]
    try:
        with Client(ADDRESS, timeout=60) as client:
            client.wait_for_workers(len(cores), timeout=60)
        yield
    finally:
        for part in parts:
            part.terminate()
        for part in parts:
            part.wait()
        time.sleep(1)  # until the port is free


def dask(*arguments: str, core: int | None = None) -> subprocess.Popen:
    """Start a part of a cluster, on a core of its own if that is given."""
    held = [] if core is None else ["taskset", "--cpu-list", str(core)]
    return subprocess.Popen(
        [*held, sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    sys.exit(main())
