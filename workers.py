"""Processes side by side: who hears Ctrl-C, who has which cores, who ends with whom."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes.

    TensorFlow 2.21 writes on the state of oneDNN and CUDA before any of its log settings apply, so
    stderr is turned away while it is imported. An error is raised, and shown, as ever.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


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


def _leave_with_parent() -> None:
    """End this process when its parent has been killed: two must never train one fold."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
