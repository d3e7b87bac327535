"""What one visit to the page keeps while its script runs again and again, and between its views.

Streamlit forgets a widget that another view does not show; what is kept here stays until the tab is
closed or reloaded. Audio stays in memory. Nothing that a visitor names is used as a path.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import streamlit as st
from starlette.formparsers import MultiPartParser
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

import limits
from classifier import EmotionClassifier
from model_folder import MANIFEST
from views import garbage
from views.microphone import OWN_MACHINE
from views.text import Page

MODEL_FOLDER = Path(__file__).parent.parent / "model"
SHIPPED = ("frames", "vector")  # the default first

TEACHING = "PAGE_TEACHING"  # environment variable, 'on' or 'off'

# Streamlit's server would write uploads of more than 1 MB into a temporary file.
MultiPartParser.spool_max_size = limits.UPLOAD_MB * 2**20

KNOWN_VOICE = "known_voice"  # key of the recordings by which the speaker is known

# Keys of widgets whose values others read.
MODEL = "model"  # name of the chosen model, also in the address
ADAPT = "adapt"  # whether answers are adapted to the known voice


@dataclass(frozen=True)
class Recording:
    """A sound that came in.

    Attributes:
        name: for people: of the file, with its folder or archive where known.
        content: the bytes of the file.
        label: the true emotion, where a name, folder or list tells it.
        error: why there is nothing to hear, '' if there is.
    """

    name: str
    content: bytes
    label: str | None = None
    error: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: what is known of it is remembered under this."""
        return hashlib.sha256(self.content).hexdigest()


def recordings() -> list[Recording]:
    """Return all recordings of this visit."""
    return [recording for source in sources().values() for recording in source]


def sources() -> dict[str, list[Recording]]:
    """Return the recordings by where they came from; may be changed."""
    return st.session_state.setdefault("recordings", {})


def room(source: str) -> int:
    """Return how many bytes a source may bring, in the place of what it brought before.

    Args:
        source: a key of `sources`, or `KNOWN_VOICE`.
    """
    held = sources() | {KNOWN_VOICE: known_voice()}
    others = [one for name, found in held.items() if name != source for one in found]
    packed = [size for name, size in archives().items() if name != source]
    return limits.VISIT_MB * 2**20 - sum(len(one.content) for one in others) - sum(packed)


def archives() -> dict[str, int]:
    """Return the bytes of the archives that widgets hold, by source; may be changed."""
    return st.session_state.setdefault("archives", {})


def drop(file: UploadedFile) -> None:
    """Free the memory of an upload, which lasts as long as its widget otherwise."""
    context = get_script_run_ctx()
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def teaching() -> bool:
    """Tell whether visitors may keep recordings, delete them, and train on them.

    As `TEACHING` says; otherwise where nobody but this machine reaches the page.
    """
    wish = os.environ.get(TEACHING)
    return wish == "on" if wish else st.get_option("server.address") in OWN_MACHINE


def model_folders() -> list[Path]:
    """Return the folders of the models to choose from: shipped ones, then those trained here."""
    own = sorted(manifest.parent for manifest in MODEL_FOLDER.glob(f"[!.]*/{MANIFEST}"))
    shipped = [MODEL_FOLDER / name for name in SHIPPED]
    return shipped + [folder for folder in own if folder not in shipped]


def chosen_model() -> Path:
    """Return the folder of the chosen model, one of `model_folders`."""
    return MODEL_FOLDER / st.session_state.get(MODEL, SHIPPED[0])


def plain_classifier() -> EmotionClassifier:
    """Return the chosen model, adapted to nobody.

    Raises:
        ModelError: its folder is missing or damaged.
    """
    return load(chosen_model())


def classifier(*, adapt: bool | None = None) -> EmotionClassifier:
    """Return the chosen model, adapted to the known voice or not.

    Args:
        adapt: whether it is; by default as the visitor has switched it.

    Raises:
        ModelError: its folder is missing or damaged.
    """
    plain = plain_classifier()
    if not (adapted() if adapt is None else adapt):
        return plain
    kept = st.session_state.setdefault("adapted_classifiers", {})
    key = identity(adapt=True)
    if key not in kept:
        kept[key] = plain.adapted_to([reference.content for reference in known_voice()])
    return kept[key]


def identity(*, adapt: bool | None = None) -> str:
    """Return what tells the answers of such a `classifier` from those of others."""
    parts = sorted(plain_classifier().manifest["files"].items())
    adapt = adapted() if adapt is None else adapt
    voice = [part.digest for part in known_voice()] if adapt else []
    return hashlib.sha256(repr((parts, voice)).encode()).hexdigest()


def known_voice() -> list[Recording]:
    """Return the recordings by which the speaker is known; none if nobody is."""
    return st.session_state.get(KNOWN_VOICE, [])


def remember_voice(references: list[Recording], known: EmotionClassifier) -> None:
    """Know a speaker by recordings to which the chosen model was adapted."""
    st.session_state[KNOWN_VOICE] = references
    st.session_state[ADAPT] = True
    st.session_state["adapted_classifiers"] = {identity(adapt=True): known}


def forget_voice() -> None:
    """Know nobody."""
    st.session_state[KNOWN_VOICE] = []
    st.session_state.pop("adapted_classifiers", None)


def adapted() -> bool:
    """Tell whether a voice is known and answers are to be adapted to it."""
    return bool(known_voice()) and st.session_state.get(ADAPT, True)


def load(folder: Path) -> EmotionClassifier:
    """Return a model, loaded once for all visits of the server.

    Raises:
        ModelError: its folder is missing or damaged.
    """
    return _load(str(folder), _version(folder))


def _version(folder: Path) -> tuple[int, int] | None:
    """Return what changes when training replaces the model: its manifest's time and size."""
    try:
        manifest = (folder / MANIFEST).stat()
    except OSError:
        return None  # to load the model will say what is missing
    return manifest.st_mtime_ns, manifest.st_size


@st.cache_resource(max_entries=6, show_spinner=Page.LOADING)
def _load(folder: str, version: tuple[int, int] | None) -> EmotionClassifier:
    """Load a version of a model."""
    model = EmotionClassifier.load(folder)
    garbage.spare()
    return model
