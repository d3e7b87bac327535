"""No figure is typed by hand: what is written stands in the results files."""

import sys

import pytest
from conftest import ROOT

import model_card

sys.path.append(str(ROOT / "docs"))

import make_tables


@pytest.mark.parametrize("name", make_tables.PAGES)
def test_a_page_is_what_the_results_files_say(name) -> None:
    page = (ROOT / name).read_text("utf-8")
    assert make_tables.fill(page) == page, "run: make tables"


def test_the_readme_shows_unheard_voices() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme.count("<!-- table:") >= 3
    assert "| `frames` | RAVDESS speech | unheard voices (speaker folds) |" in readme


@pytest.mark.parametrize("name", make_tables.SHIPPED)
def test_a_shipped_card_is_what_its_manifest_says(name, tmp_path) -> None:
    folder = ROOT / "model" / name
    make_tables.write_card(name, tmp_path)
    card = (tmp_path / "README.md").read_text("utf-8")
    assert card == (folder / "README.md").read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir()} <= {path.name for path in folder.iterdir()}
    assert "## What helped, and what did not\n\n| network and recipe |" in card


def test_a_table_follows_its_manifest() -> None:
    record = {
        "protocol": "speaker",
        "test": "own speech",
        "uar": 0.6543,
        "uar_std": 0.0321,
        "uar_interval": [0.6, 0.7012],
        "accuracy": 0.5,
        "ece": 0.04,
        "seeds": [0, 1],
        "folds": 6,
    }
    table = model_card.results_table([{"name": "mine", "metrics": [record]}])
    row = "| `mine` | own speech | unheard voices (speaker folds) | 65.4 ± 3.2 | 60.0–70.1 "
    assert row + "| 50.0 | 4.0 | 2 × 6 |" in table
