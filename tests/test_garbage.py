import gc
import sys
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
