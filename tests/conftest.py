"""What several test modules need."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import soundfile

import corpora
import dataset
import gate
from audio import SAMPLE_RATE
from augment import NoiseAtSNR
from dataset import Dataset, Recipe, Sometimes

# Tests run side by side, one process per core; TensorFlow's banner is not for them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

gate.load()  # before any test loads TensorFlow, as in the programs that classify

ROOT = Path(__file__).parent.parent
TWO_EMOTIONS = ("angry", "sad")
NOISY: Recipe = (Sometimes(1.0, NoiseAtSNR(10, 20)),)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings, which are not part of this repository."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "ravdess").is_dir():
        pytest.skip(f"no recordings in {folder}")
    return folder


def speechlike(seconds: float, *, seed: int = 0) -> np.ndarray:
    """Return what a detector of speech takes for it: a gliding voice, vowels, syllables."""
    rng = np.random.default_rng(seed + 1)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 140 + 60 * rng.random() + 30 * np.sin(2 * np.pi * 0.7 * time + rng.random())
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    rate = 3 + rng.random()  # syllables per second
    said = rng.integers(len(_VOWELS), size=int(np.ceil(seconds * rate)) + 2)
    formants = [np.interp(time, np.arange(len(said)) / rate, _VOWELS[said, i]) for i in range(3)]
    voice = np.zeros(len(time))
    for k in range(1, 30):
        resonance = sum(
            share * np.exp(-(((k * pitch - formant) / width) ** 2))
            for formant, share, width in zip(formants, (1, 0.5, 0.25), (120, 150, 200), strict=True)
        )
        voice += (resonance + 0.02) / np.sqrt(k) * np.sin(k * phase)
    syllables = np.sqrt(np.clip(np.sin(2 * np.pi * rate * time), 0, None))
    waveform = 0.15 * voice * syllables + 1e-3 * rng.standard_normal(len(time))
    return waveform.astype(np.float32)


#: The first three formants of a few vowels, in Hz.
_VOWELS = np.array(
    [[750, 1200, 2600], [300, 2200, 2900], [320, 800, 2400], [500, 1800, 2500], [550, 950, 2500]]
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole and valid `frames` model folder with random weights."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny", "frames")


def make_model(folder: Path, kind: str) -> Path:
    """Write a model folder with random weights."""
    import keras
    import pandas as pd

    import model_folder
    import network

    keras.utils.set_random_seed(0)
    mean, std = np.zeros(network.N_FEATURES), np.full(network.N_FEATURES, 50.0)
    build = getattr(network, f"{kind}_body")
    body = build(len(corpora.EMOTIONS))
    frontend = getattr(network, f"{kind}_frontend")(mean, std)
    clips = pd.DataFrame(
        {"path": ["a.wav"], "emotion": "sad", "speaker": "s", "corpus": "own", "channel": "speech"}
    )
    model_folder.write(
        folder,
        network.join(frontend, [body], temperature=1.0),
        kind=kind,
        emotions=corpora.EMOTIONS,
        normalisation={"mean": mean.tolist(), "std": std.tolist()},
        farthest_clip=1e6,
        table=clips,
        records=[],
        training={"seed": 0, "epochs": 0, "temperature": 1.0, "recipe": []},
    )
    return folder


def make_corpus(folder: Path, *, speakers: int = 4, clips: int = 4, first: int = 0) -> Path:
    """Write a folder per emotion and speaker; loud and high is angry, soft and low is sad."""
    for speaker in range(first, first + speakers):
        for emotion in TWO_EMOTIONS:
            place = folder / emotion / f"voice{speaker}"
            place.mkdir(parents=True)
            for clip in range(clips):
                waveform = speechlike(0.8, seed=100 * speaker + clip)
                waveform *= 3 if emotion == "angry" else 0.3
                soundfile.write(place / f"{emotion}-{clip}.wav", waveform, SAMPLE_RATE)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four voices that are angry and sad, four clips of each."""
    return make_corpus(tmp_path_factory.mktemp("corpora") / "mine")


def extract(corpus: Path, cache: Path, recipes: Sequence[Recipe], **options: Any) -> Dataset:
    """Return the features of a corpus, in one process."""
    options = {"seed": 0, "jobs": 1, "quiet": True, **options}
    return dataset.extract(corpora.scan(corpus), recipes, cache=cache, **options)
