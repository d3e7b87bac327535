import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

import workers


def square(number: int) -> int:
    return number * number


def slow_square(number: int) -> int:
    time.sleep(0.03)  # or all are done before the first is looked at, on a busy machine
    return number * number


def kill_at_7(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def threads(_: int) -> str:
    return os.environ["OPENBLAS_NUM_THREADS"]


def fail_at_7(number: int) -> int:
    if number == 7:
        raise ValueError("seven")
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_and_items_are_taken_as_needed(jobs):
    taken = []

    def items() -> Iterator[int]:
        for number in range(150):
            taken.append(number)
            yield number

    stream = workers.stream(slow_square, items(), jobs=jobs)
    assert next(stream) == (0, 0)
    assert len(taken) < 150
    assert [*stream] == [(number, number**2) for number in range(1, 150)]


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX knows them")
def test_an_item_that_kills_its_process_twice_costs_no_other():
    found = [*workers.stream(kill_at_7, range(40), jobs=2)]
    assert found == [(number, None if number == 7 else number**2) for number in range(40)]


def test_an_error_is_raised_as_it_is():
    with pytest.raises(ValueError, match="seven"):
        list(workers.stream(fail_at_7, range(40), jobs=2))


def test_each_process_has_one_thread_for_matrices():
    assert {count for _, count in workers.stream(threads, range(4), jobs=2)} == {"1"}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc of glibc is spoken to")
def test_a_worker_of_a_cluster_keeps_the_memory_of_an_array_for_the_next():
    program = """
import resource, numpy, workers
def pages(_):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        numpy.ones(2**17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(pages(0), workers._on_cluster(pages, 0))
"""
    setting = {"MALLOC_TRIM_THRESHOLD_": "65536", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | setting, capture_output=True, text=True
    )
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 20_000  # 256 of each array
    assert kept < 2_000


def test_what_is_left_is_not_done():
    stream = workers.stream(square, iter(range(10**9)), jobs=2)
    assert [next(stream)[1] for _ in range(3)] == list(np.arange(3) ** 2)
    stream.close()
