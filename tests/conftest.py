"""What several test modules need."""

import os
from pathlib import Path

import numpy as np
import pytest

from audio import SAMPLE_RATE

# Tests run side by side, one process per core; TensorFlow's banner is not for them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parent.parent


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
