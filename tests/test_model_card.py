"""No figure is typed by hand: what is written stands in the results files."""

import json
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
    assert "| known voices (random 80/20) | unheard voices (speaker folds) |" in readme
    assert "| RAVDESS speech | `frames` |" in readme


@pytest.mark.parametrize("name", make_tables.PUBLISHED)
def test_published_figures_are_of_the_trainings_that_the_pages_name(name) -> None:
    corpora, epochs = {
        "frames": ({"RAVDESS", "CREMA-D"}, 45),
        "ravdess": ({"RAVDESS"}, 60),
        "vector": ({"RAVDESS"}, 40),
    }[name.partition("-")[0]]
    found = json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))
    assert set(found["corpora"]) == corpora
    assert found["training"]["epochs"] == epochs


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


def test_a_card_of_a_model_without_a_test_says_so(tmp_path) -> None:
    manifest = {
        "name": "mine",
        "network": "vector",
        "parameters": 7,
        "labels": ["angry", "sad"],
        "metrics": [],
        "versions": {},
        "corpora": {
            "one": {
                "clips": 2,
                "channels": ["speech"],
                "speakers": 1,
                "licence": "CC BY-NC-SA 4.0",
            },
            "two": {"clips": 2, "channels": ["speech"], "speakers": 1, "licence": "unknown"},
        },
        "training": {"seed": 0, "epochs": 1, "members": 1, "temperature": 1.0},
    }
    model_card.write(tmp_path, manifest)
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "Not evaluated." in card
    assert "guessing scores 50.0% of 2 emotions" in card
    assert card.startswith("---\nlicense: other\n")


def test_corpora_whose_names_differ_in_a_hyphen_have_figures_of_their_own(tmp_path) -> None:
    manifest = json.loads((ROOT / "model" / "vector" / "manifest.json").read_text("utf-8"))
    record = manifest["metrics"][0]
    manifest["metrics"] = [record | {"test": f"my{mark}voice speech"} for mark in " -"]
    model_card.write(tmp_path, manifest)
    assert len(list(tmp_path.glob("confusion*.png"))) == 2
