"""The tables of docs/experiments.md: what was tried, from results/experiments.json."""

import json
import string
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model_card import markdown, percent

_RESULTS = Path(__file__).parent.parent / "results" / "experiments.json"

#: Columns of several tables, as `_table` takes them.
_HOME = {"RAVDESS speech": "speech", "and song": "both"}
_ACROSS = {
    "RAVDESS to CREMA-D": "to_crema_d",
    "CREMA-D": "crema_d",
    "CREMA-D to RAVDESS": "to_ravdess",
}


def recipes_table() -> str:
    """Return what was tried on inner validation, as a Markdown table."""
    return _table(
        "rows",
        {
            "network and recipe": "what",
            "speech": "speech",
            "both": "both",
            "known voice": "known_voice",
            "to CREMA-D": "to_crema_d",
        },
    )


def ablation_table(network: str) -> str:
    """Return what other recipes of a shipped network were worth, as a Markdown table."""
    if network == "frames":
        changes, beside = TABLES["changed_at_each_meeting"](), TABLES["functionals"]()
        return f"{changes}\n\nA kernel machine of whole clips beside a network:\n\n{beside}"
    rows = [
        [row["what"], _maybe(row["speech"]), _maybe(row["both"])]
        for row in _experiments()["rows"]
        if row["what"].startswith(f"`{network}`")
    ]
    return markdown(["network and recipe", "RAVDESS speech", "and song"], rows)


def references_table() -> str:
    """Return what references of a speaker were worth on inner validation, as a Markdown table."""
    references = _experiments()["references"]
    rows = [[row["reference"], *map(percent, row["uar"])] for row in references["rows"]]
    return markdown(["reference", *(f"{share:g}" for share in references["shares"])], rows)


def trained_references_table() -> str:
    """Return what references were worth to networks that had met such, as a Markdown table."""
    found = _experiments()["trained_references"]
    head = ["training took off", "reference", "compared with"]
    rows = [
        [row["training"], row["reference"], row["usual"], *map(percent, row["uar"])]
        for row in found["rows"]
    ]
    return markdown([*head, *(f"{share:g}" for share in found["shares"])], rows)


def recipe_references_table() -> str:
    """Return what references are worth to the recipe's networks, as a Markdown table."""
    found = _experiments()["references_of_the_recipe"]
    rows = [
        [row["reference"], _maybe(row["quiet_from"]), *map(_maybe, row["uar"])]
        for row in found["rows"]
    ]
    return markdown(["reference", "quiet from", *(f"{share:g}" for share in found["shares"])], rows)


def designs_table() -> str:
    """Return what other designs are worth beside the recipe, as a Markdown table."""
    rows = []
    for row in _experiments()["designs_of_both"]["rows"]:
        pairs = [(row[name], row[f"recipe_{name}"]) for name in ("ravdess", "both", "crema_d")]
        scores = [" / ".join(map(percent, pair)) if None not in pair else "" for pair in pairs]
        rows.append([row["what"], str(row["folds"]), *scores])
    return markdown(["design", "folds", "RAVDESS speech", "and song", "CREMA-D"], rows)


def averages_at_home_table() -> str:
    """Return what averages are worth beside the network at home, as a Markdown table."""
    rows = [
        [
            "them alone" if row["share"] is None else f"{row['share']:g} of what they say",
            *(percent(row[key]) for key in ("speech", "both", "copies")),
        ]
        for row in _experiments()["averages"]["at_home"]["rows"]
    ]
    return markdown(["asked", *_HOME, "strange copies of speech, accuracy"], rows)


def covariance_table() -> str:
    """Return what another measure of a voice's leaning is worth, as a Markdown table."""
    found = _experiments()["leanings"]["by_covariance"]
    keys = ("alone", "one_share", "covariance")
    head = ["without", "the same share of all emotions", "by what a reference's moods spread"]
    return markdown(head, [[percent(found[key]) for key in keys]])


def unheard_shares_table() -> str:
    """Return what quiet references are compared with, as a Markdown table."""
    found = _experiments()["leanings"]["shares"]
    rows = [
        [
            f"{row['share']:g}",
            _gain(row["quiet"]),
            _gain(row["accuracy"]),
            f"{row['lost']} of {found['actors']}",
        ]
        for row in found["rows"]
    ]
    return markdown(["share", "UAR", "accuracy", "actors that lose"], rows)


def amounts_table() -> str:
    """Return what more of a voice is worth, as a Markdown table."""
    found = _experiments()["leanings"]["amounts"]
    rows = [[name, *map(percent, found[name])] for name in ("alone", "known")]
    return markdown(["random clips of the voice", *map(str, found["clips"])], rows)


def one_sided_table() -> str:
    """Return what references of one emotion are worth, as a Markdown table."""
    found = _experiments()["leanings"]["one_sided"]["rows"]
    rows = [[name, *(percent(row[name]) for row in found)] for name in ("alone", "known")]
    return markdown(["clips of one emotion", *(row["emotion"] for row in found)], rows)


def known_setting_table() -> str:
    """Return what clips of many voices of one corpus are worth, as a Markdown table."""
    rows = [
        [str(row["clips"]), *(_spread(row[key]) for key in ("to_crema_d", "to_ravdess"))]
        for row in _experiments()["known_setting"]["rows"]
    ]
    return markdown(["clips heard", "RAVDESS to CREMA-D", "CREMA-D to RAVDESS"], rows)


def _experiments() -> dict[str, Any]:
    return json.loads(_RESULTS.read_text("utf-8"))


def _table(name: str, columns: dict[str, str]) -> str:
    """Return rows of the results as a Markdown table.

    Args:
        name: of the rows in the results file; one of what belongs together after a dot.
        columns: what each column holds, by its head: a key of the rows, with the format of what is
            no share, or such keys in braces among other words.
    """
    found: Any = _experiments()
    for key in name.split("."):
        found = found[key]
    rows = found if isinstance(found, list) else found["rows"]
    words = _Words()
    cells = [column if "{" in column else f"{{{column}}}" for column in columns.values()]
    return markdown(
        list(columns), [[words.vformat(cell, (), row) for cell in cells] for row in rows]
    )


class _Words(string.Formatter):
    """Shares in per cent, all else as it is."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return " / ".join(map(percent, value))
        if format_spec or isinstance(value, str | int):
            return format(value, format_spec)
        return _maybe(value)


def _spread(pair: Sequence[float | None]) -> str:
    return " ± ".join(percent(value) for value in pair if value is not None)


def _gain(pair: Sequence[float] | None) -> str:
    return "" if pair is None else " / ".join(map(percent, pair))


def _maybe(value: float | None) -> str:
    return "" if value is None else percent(value)


_BY_SEX = {"RAVDESS speech": "speech", "of men": "men", "of women": "women"}
_AND = {"and song": "both", "RAVDESS to CREMA-D": "to_crema_d"}
_SHOWN = {"shown": "what", **_BY_SEX, **_AND}

_HALVES = {
    "RAVDESS to CREMA-D": "chosen_crema_d",
    "other speakers of it": "others_crema_d",
    "CREMA-D to RAVDESS": "chosen_ravdess",
    "other speakers of that": "others_ravdess",
}

#: Rows of the results file that are tables as they are: what each column holds, by its head.
_PLAIN: dict[str, dict[str, str]] = {
    "epochs_of_both": {
        "fold": "fold",
        "epochs": "epochs",
        "RAVDESS speech": "ravdess",
        "and song": "both",
        "CREMA-D": "crema_d",
        "of the training: RAVDESS speech": "trained_ravdess",
        "of the training: CREMA-D": "trained_crema_d",
    },
    "distillation": {
        "fold": "fold",
        "labels alone": "labels",
        "half an ensemble's word": "taught",
        "nats per clip: labels alone": "labels_loss:.2f",
        "nats per clip: half an ensemble's word": "taught_loss:.2f",
    },
    "leanings": {
        "taken off": "what",
        "8 random clips": "random",
        "8 neutral and calm clips": "quiet",
    },
    "strangeness": {"temperature by": "what", **_HALVES},
    "strangeness.factors": {
        "asked": "asked",
        "the speakers that it was chosen on": "chosen:.2f",
        "the others": "others:.2f",
    },
    "temperature_by_distance": {
        "trained on": "trained",
        "validation speakers": "{own} / {own_by_distance}",
        "their augmented copies": "{copies} / {copies_by_distance}",
        "the other corpus": "{other} / {other_by_distance}",
    },
    "changed_at_each_meeting": {
        "network and recipe": "what",
        **_HOME,
        "CREMA-D": "crema_d",
        "RAVDESS to CREMA-D": "to_crema_d",
        "CREMA-D to RAVDESS": "to_ravdess",
        "known voices": "known",
    },
    "asked_limits": {
        "stopped in training at": "trained:g",
        "asked at": "asked:g",
        "RAVDESS speech": "speech",
        **_ACROSS,
    },
    "leanings.elsewhere": {
        "asked": "asked",
        "UAR": "{alone} / {known}",
        "temperature that suits, as a factor": "{factor_alone:.2f} / {factor:.2f}",
        "ECE": "{ece_alone} / {ece}",
    },
    "together": {
        "networks": "what",
        "each": "each:.2f",
        "together": "together:.2f",
        "ratio": "{ratio[0]:.2f} ± {ratio[1]:.2f}",
    },
    "shared": {
        "channels": "channels",
        "products": "{products:.2f} ×",
        "mean change of a log-probability": "mean_log:.3f",
        "largest change of a probability": "largest",
        "other answers": "{others} of {clips}",
    },
    "corpora_temperatures": {
        "temperature": "what",
        "RAVDESS alone": "{alone[0]:.3f}, {alone[1]}",
        "CREMA-D of both": "{crema_d[0]:.3f}, {crema_d[1]}",
        "RAVDESS of both": "{ravdess[0]:.3f}, {ravdess[1]}",
    },
    "averages.changes": {
        "change": "what",
        "answers unchanged: network alone / and averages": "{unchanged} / {unchanged_with}",
        "accuracy": "{accuracy} / {accuracy_with}",
    },
    "averages": {"asked": "what", **_HALVES, "log-likelihood": "likelihood:.3f"},
    "averages.known_voices": {
        "asked": "what",
        "UAR: without / with half a minute of the voice": "uar",
        "ECE": "ece",
    },
    "averages.familiar_copies": {
        "familiar": "what",
        "new voices": "voices:.2f",
        "their copies": "copies:.2f",
        "the other corpus": "other:.2f",
    },
    "averages.recoloured": {
        "taken off": "what",
        "RAVDESS to CREMA-D": "crema_d",
        "CREMA-D to RAVDESS": "ravdess",
    },
    "functionals": {
        "heaviness": "say",
        **_HOME,
        "nats per clip": "nats:.3f",
        "known voices, accuracy": "known",
        "CREMA-D": "crema_d",
    },
    "functionals.of_two": {
        "two networks": "what",
        "RAVDESS alone: speech": "speech",
        "and song": "both",
        "of both corpora: RAVDESS speech": "ravdess",
        "with song": "ravdess_both",
        "CREMA-D": "crema_d",
    },
    "functionals.otherwise": {
        "machine": "what",
        **_HOME,
        "nats per clip": "nats:.3f",
        "known voices, accuracy": "known",
        "changed: same answer": "unchanged",
        "accuracy": "accuracy",
    },
    "functionals.temperatures": {
        "networks": "what",
        "without it": "without:.2f",
        "with it": "beside:.2f",
        "ratio": "ratio:.2f",
    },
    "functionals.strange": {
        "asked": "what",
        "RAVDESS to CREMA-D: UAR": "crema_d_uar",
        "ECE": "crema_d_ece",
        "CREMA-D to RAVDESS: UAR": "ravdess_uar",
        "its ECE": "ravdess_ece",
        "log-likelihood": "likelihood:.3f",
    },
    "functionals.changed": {
        "asked": "what",
        "small changes: same answer": "small_unchanged",
        "accuracy": "small_accuracy",
        "hard changes: same answer": "hard_unchanged",
        "their accuracy": "hard_accuracy",
        "telephones: same answer": "telephone_unchanged",
        "accuracy over them": "telephone_accuracy",
    },
    "functionals.voices": {
        "asked": "what",
        "8 random clips: UAR": "random_uar",
        "accuracy": "random_accuracy",
        "8 neutral and calm clips: UAR": "quiet_uar",
        "their accuracy": "quiet_accuracy",
    },
    "random_split": {"network and recipe": "what", **_HOME},
    "known_voices": {
        "training": "what",
        "speech and song, accuracy": "accuracy",
        "speech, UAR": "speech",
    },
    "vectors": {"of the 264 means": "what", "speech": "speech", "and song": "both"},
    "pauses": {"averaged frames": "what", "speech": "speech", "and song": "both"},
    "vector_members": {"networks": "members", **_HOME},
    "vector_network": {"training": "what", "speech": "speech", "and song": "both"},
    "flatter": {"training": "what", "draws": "draws", **_HOME, **_ACROSS},
    "asked_otherwise": {"asked": "what", **_HOME, **_ACROSS},
    "asked_sound": {"shown": "what", **_HOME, **_ACROSS},
    "asked_levels": {
        "level": "what",
        "RAVDESS to CREMA-D": "to_crema_d",
        "CREMA-D to RAVDESS": "to_ravdess",
    },
    "asked_speeds": {"speed": "speed", **_BY_SEX},
    "usual_temperatures": {"networks": "what", "temperature": "all:.2f"},
    "pitch": _SHOWN,
    "inputs": _SHOWN,
    "learned_otherwise": {
        "training": "what",
        "folds": "folds",
        **_BY_SEX,
        **_AND,
        "known voices": "known",
    },
    "across_corpora": {
        "recipe": "what",
        "RAVDESS to CREMA-D": "to_crema_d",
        "CREMA-D to RAVDESS": "to_ravdess",
    },
    "temperatures": {"temperature": "what", "nats per clip": "nats:.3f", "ECE": "ece"},
    "voice_pitch": {"reference": "reference", "without": "alone", "with it": "told"},
    "beside_leaning": {"asked": "what", "8 random clips": "eight", "32 random clips": "many"},
    "known_moods": {
        "a reference": "what",
        "8 random clips": "eight",
        "32 random clips": "many",
        "8 neutral and calm clips": "quiet",
    },
    "asked_limits_again": {
        "asked at": "limit",
        **_HOME,
        "known voices: RAVDESS speech": "known_speech",
        "and song, accuracy": "known",
    },
    "soups": {"networks": "what", "RAVDESS speech": "speech", **_AND},
    "members": {"networks": "members", **_HOME},
    "third_member": {
        "networks": "members",
        **_HOME,
        "ECE of speech": "ece",
        "accuracy, random 80/20": "random",
    },
}

#: By name, as `make_tables.fill` finds them in the page.
TABLES: dict[str, Callable[[], str]] = {
    "experiments": recipes_table,
    "references": references_table,
    "trained_references": trained_references_table,
    "recipe_references": recipe_references_table,
    "designs": designs_table,
    "averages_at_home": averages_at_home_table,
    "covariance": covariance_table,
    "unheard_shares": unheard_shares_table,
    "amounts": amounts_table,
    "one_sided": one_sided_table,
    "known_setting": known_setting_table,
    **{name: partial(_table, name, columns) for name, columns in _PLAIN.items()},
}
