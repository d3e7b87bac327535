"""What the garbage collector need not look through."""

import gc
import sys

_modules = 0  # that were there the last time


def spare_modules() -> None:
    """Take all that is there out of its way if modules have come, for they stay.

    Streamlit calls the collector after each run of the page. With the libraries to look through it
    takes a tenth of a second, in which all other visitors wait.
    """
    global _modules
    if len(sys.modules) > _modules:
        _modules = len(sys.modules)
        gc.collect()
        gc.freeze()
