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
from audio import SAMPLE_RATE
from augment import NoiseAtSNR
from dataset import Dataset, Recipe, Sometimes

# Tests run side by side, one process per core; TensorFlow's banner is not for them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

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
    """Return something with the look of speech: a gliding voice in syllables, over faint noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 140 + 60 * rng.random() + 30 * np.sin(2 * np.pi * 0.7 * time + rng.random())
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * (3 + rng.random()) * time), 0, None)
    waveform = 0.1 * voice * syllables + 1e-3 * rng.standard_normal(len(time))
    return waveform.astype(np.float32)


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
