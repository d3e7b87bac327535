"""How time and memory grow with the number of files: 100, 1 000, 10 000, 100 000.

    python benchmarks/growth.py DATA

DATA holds RAVDESS; its speech is the files, under as many names as are needed. Each size is a
process of its own with all cores that writes a CSV file. Beside the time that passes stands what
all its processes spent on the cores, which other programs disturb less. Its memory is looked at
twice a second: that of the command itself, which finds, keeps and reports, and that of the largest
process that works for it.

Linux only. Writes benchmarks/results/growth.json.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

from benchmarks.folder import link, speech, write  # noqa: E402

SIZES = (100, 1_000, 10_000, 100_000)


def main() -> int:
    """Measure, write the results file and print the table."""
    clips = speech(__doc__)
    rows = []
    print(f"{'files':>8}{'seconds':>10}{'on a core':>11}{'command':>10}{'a worker':>10}")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            link(clips, Path(folder), size)
            row = {"files": size, **watch(folder)}
        rows.append(row)
        print(
            f"{size:>8}{row['seconds']:>10.1f}{row['core_seconds']:>11.1f}"
            f"{row['command_mb']:>7.0f} MB{row['worker_mb']:>7.0f} MB",
            flush=True,
        )
    write("growth", rows=rows)
    return 0


def watch(folder: str) -> dict[str, Any]:
    """Classify a folder; return the seconds, and the most memory of the command and a worker."""
    command = [sys.executable, "test_model.py", folder, "--output", f"{folder}/x.csv", "--quiet"]
    start, spent = time.perf_counter(), core_seconds()
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    process = psutil.Process(running.pid)
    main, worker = 0, 0
    while running.poll() is None:
        main = max(main, resident(process))
        worker = max([worker, *map(resident, process.children(recursive=True))])
        time.sleep(0.5)
    seconds = time.perf_counter() - start
    if running.returncode:
        raise RuntimeError(f"{command} ended with status {running.returncode}")
    return {
        "seconds": seconds,
        "core_seconds": core_seconds() - spent,
        "command_mb": main / 2**20,
        "worker_mb": worker / 2**20,
    }


def core_seconds() -> float:
    """Return what the processes that this one started, and that have ended, spent on cores."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident(process: psutil.Process) -> int:
    """Return the bytes that a process holds, 0 if it has ended."""
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    sys.exit(main())
