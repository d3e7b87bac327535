"""Processes side by side: who hears Ctrl-C, who has which cores, who ends with whom."""

import contextlib
import ctypes
import functools
import logging
import multiprocessing
import os
import platform
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


class ClusterError(Exception):
    """A Dask cluster cannot be used; the message says why and what to do."""


def stream(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> Generator[tuple[Item, Result | None], None, None]:
    """Yield each item with its result, in order; items are taken as they are needed.

    A process that is killed, by a fault in a decoder or for want of memory, takes those beside it
    along. Then the items in hand are worked on again, each alone: the result of one that again
    kills its process is None.

    Args:
        work: a function of a module, as processes find it by its name.
        items: what it is called with, one by one.
        jobs: processes on this machine; 1 is this one.
        scheduler: address of a Dask cluster, which does the work instead.

    Raises:
        ClusterError: Dask is not installed, or the cluster cannot be reached or do the work.
    """
    if jobs == 1 and scheduler is None:
        for item in items:
            yield item, work(item)
        return
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

    task = joblib.delayed(work if scheduler is None else functools.partial(_on_cluster, work))

    def parallel(items: Iterable[Item], **options: Any) -> Any:
        tasks = map(task, items)
        with deaf_to_interrupts(), joblib.parallel_config(**backend):
            return joblib.Parallel(**options)(tasks)

    def taken() -> Iterator[Item]:
        for item in items:
            in_hand.append(item)
            yield item

    items = iter(items)
    in_hand: deque[Item] = deque()
    broken = True
    with _backend(jobs, scheduler) as backend:
        while broken:
            try:
                with _quietly_closing(parallel(taken(), return_as="generator")) as results:
                    for result in results:
                        yield in_hand.popleft(), result
                broken = False
            except BrokenProcessPool:
                while in_hand:
                    try:
                        result = parallel([in_hand[0]])[0]
                    except BrokenProcessPool:
                        result = None
                    yield in_hand.popleft(), result


def _on_cluster(work: Callable[[Item], Result], item: Item) -> Result:
    _keep_freed_memory()
    return work(item)


@functools.cache  # once per process
def _keep_freed_memory() -> None:
    """Have malloc keep what an array leaves for the next one, as it does unless told otherwise.

    Dask's nannies tell it otherwise (MALLOC_TRIM_THRESHOLD_), and then half of the time goes to
    getting memory from the system and giving it back. The numbers are those at which malloc
    arrives by itself at most (man 3 mallopt).
    """
    if platform.libc_ver()[0] == "glibc":
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        malloc.mallopt(_M_TRIM_THRESHOLD, 64 << 20)


@contextlib.contextmanager
def _quietly_closing(results: Generator[Result, None, None]) -> Iterator[Iterator[Result]]:
    """Close what joblib returned; that nobody waits for the rest any more needs no words."""
    show = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        # loky's own thread may stumble over tasks that are just being taken from it.
        if not (arguments.exc_type is KeyError and "ExecutorManager" in str(arguments.thread)):
            show(arguments)

    threading.excepthook = hook
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.close()
        threading.excepthook = show


@contextlib.contextmanager
def _backend(jobs: int, scheduler: str | None) -> Iterator[dict[str, Any]]:
    """What joblib is to work with."""
    if scheduler is None:
        # One thread each: more of them, for the small products of matrices here, only wait.
        yield {"backend": "loky", "n_jobs": jobs, "inner_max_num_threads": 1}
        return
    try:
        import cluster
    except ImportError as error:
        raise ClusterError(
            f"--scheduler needs Dask, which is not installed ({error}): "
            "pip install 'dask[distributed]'"
        ) from None
    with cluster.connect(scheduler) as backend:
        yield {"backend": backend}


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Turn away what a library writes there from below Python; errors are raised as ever."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes.

    TensorFlow 2.21 writes on the state of oneDNN and CUDA before any of its log settings apply.
    Its advice to programmers, on functions traced too often, is none to users.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with without_stderr():
        import tensorflow  # noqa: F401


def start(threads: int) -> None:
    """Begin a worker process that trains with some threads; Ctrl-C is left to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    import_tensorflow()
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    # Small products of matrices: threads that wait for each other cost ten times the work.
    threadpool_limits(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes in here that leave Ctrl-C, which reaches a whole terminal, to this one."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait for the end of this: in what C code calls back, it would be lost."""
    if threading.current_thread() is not threading.main_thread():  # which no signal reaches
        yield
        return
    caught = []
    handler = signal.signal(signal.SIGINT, lambda *_: caught.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if caught:
            signal.raise_signal(signal.SIGINT)


def _leave_with_parent() -> None:
    """End this process when its parent has been killed: two must never train one fold."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
