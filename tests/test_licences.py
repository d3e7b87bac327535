"""The list of licences names every package that is asked for."""

import sys

import pytest
from conftest import ROOT

sys.path.append(str(ROOT / "docs"))

import make_licences


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_each_direct_dependency_has_a_licence(file) -> None:
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    names = make_licences.requirements(file)
    assert len(names) > 8
    assert [name for name in names if f"\n| {name} | " not in page] == [], "run: make licences"
