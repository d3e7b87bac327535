"""Work on a Dask cluster that somebody started, through joblib."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

from distributed import Client, KilledWorker
from joblib._dask import DaskDistributedBackend
from joblib.externals.loky.process_executor import BrokenProcessPool

from workers import ClusterError

CONNECT_SECONDS = 10


@contextlib.contextmanager
def connect(scheduler: str) -> Iterator["Backend"]:
    """Connect to the scheduler of a cluster ('tcp://HOST:PORT').

    Raises:
        ClusterError: that is no such address, or nobody answers there.
    """
    # It would print tracebacks of what is said here in a line.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        if not re.fullmatch(r"(tcp|tls)://.+:\d+", scheduler):
            raise ValueError("an address such as tcp://127.0.0.1:8786 is expected")
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler} ({error}); it prints its address when it "
            "starts"
        ) from None
    with client:
        yield Backend(client=client)


class Backend(DaskDistributedBackend):
    """joblib's backend for Dask, mended where it would wait for ever or work on this machine."""

    def effective_n_jobs(self, n_jobs: int) -> int:
        try:
            slots = super().effective_n_jobs(n_jobs)
        except TimeoutError:
            raise ClusterError("the cluster has no workers; start some: dask worker") from None
        # With one, joblib works in this process: the files may be out of its reach.
        return max(2, slots)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None]) -> Future:
        def tell_failure(future: Future) -> None:
            if error := future.exception():
                callback(error)

        # joblib calls back with results only, and waits for the others for ever.
        future = super().submit(func, callback)
        future.add_done_callback(tell_failure)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        if isinstance(out, KilledWorker):
            raise BrokenProcessPool(str(out))
        if isinstance(out, CancelledError):
            raise ClusterError("the scheduler has gone; what was finished is kept")
        if isinstance(out, BaseException):
            raise ClusterError(
                f"the cluster cannot do the work ({type(out).__name__}: "
                f"{str(out).partition(chr(10))[0]}); its scheduler and its workers need this "
                "program and its packages: start them as README.md says"
            )
        return super().retrieve_result_callback(out)
