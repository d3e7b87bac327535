"""What the garbage collector need not look through."""

import functools
import gc
import sys
import threading
import time

#: From one time that what is spared is looked through to the next.
SECONDS = 120.0

_modules = 0  # that were there the last time


def spare_modules() -> None:
    """Spare all that is there if modules have come, for they stay."""
    global _modules
    if len(sys.modules) > _modules:
        _modules = len(sys.modules)
        spare()


def spare() -> None:
    """Take all that is there out of the collector's way.

    Streamlit calls the collector after each run of the page. With libraries and models to look
    through it takes a tenth of a second, in which all visitors wait.
    """
    gc.collect()
    gc.freeze()
    _look_again_now_and_then()


def look_again() -> None:
    """Free what has ended among what was spared.

    Visits were, with their recordings: Streamlit leaves it to the collector to free them.
    """
    gc.unfreeze()
    spare()


@functools.cache  # one thread
def _look_again_now_and_then() -> None:
    def run() -> None:
        while True:
            time.sleep(SECONDS)
            look_again()

    threading.Thread(target=run, name="garbage", daemon=True).start()
