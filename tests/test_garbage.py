import gc
import sys
import time
import weakref
from types import ModuleType

import pytest

from views import garbage


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()


def test_what_is_there_is_spared_again_only_when_modules_have_come(monkeypatch):
    monkeypatch.setattr(garbage, "_modules", 0)
    garbage.spare_modules()
    spared = gc.get_freeze_count()
    assert spared > 10_000
    kept = [[] for _ in range(1000)]
    garbage.spare_modules()
    assert gc.get_freeze_count() <= spared
    monkeypatch.setitem(sys.modules, "another", ModuleType("another"))
    garbage.spare_modules()
    assert gc.get_freeze_count() >= spared + len(kept) / 2


class Visit:
    """What refers to itself, as Streamlit's sessions do: only the collector frees it."""

    def __init__(self):
        self.itself = self
        self.sound = bytes(1000)


def test_a_visit_that_was_spared_goes_when_it_has_ended(monkeypatch):
    monkeypatch.setattr(garbage, "SECONDS", 0.05)
    garbage._look_again_now_and_then.cache_clear()
    visit = Visit()
    garbage.spare()
    ended = weakref.ref(visit)
    del visit
    for _ in range(100):
        if ended() is None:
            break
        time.sleep(0.1)
    else:
        pytest.fail("it is still there")
