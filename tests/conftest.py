"""What several test modules need."""

import io
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pytest
import soundfile

import corpora
import dataset
import gate
import train
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


# Two processes that write numba's cache at once may leave a file that crashes who loads it.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".cache" / f"numba-{_WORKER}")


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Take back what AppTest puts in the place of the main module: new processes start from it."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def talkative() -> Iterator[None]:
    """Take back what `test_model.py --quiet` does to the process that runs it: here, all tests."""
    yield
    logging.getLogger("inputs").disabled = False


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


def as_wav(waveform: np.ndarray) -> bytes:
    """Return the content of a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, format="WAV")
    return file.getvalue()


def wav(seconds: float, *, seed: int = 0, level: float = 1.0) -> bytes:
    """Return the content of a WAV file of `speechlike` sound."""
    return as_wav(level * speechlike(seconds, seed=seed))


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
        familiar=[],
        averages={},
        usual={"all": [0.0] * 8, "quiet": [0.0] * 8},
        emotion_means=np.zeros((len(corpora.EMOTIONS), network.N_FEATURES)),
        table=clips,
        records=[],
        training={"seed": 0, "epochs": 0, "members": 1, "temperature": 1.0, "recipe": []},
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


def make_table(speakers: int, clips_each: int, corpus: str = "own") -> pd.DataFrame:
    """Return a table of clips that lie nowhere, of all emotions by turns."""
    rows = [
        (f"{corpus}/{s}/{c}.wav", corpora.EMOTIONS[c % 8], f"{corpus}-{s}", corpus, "speech")
        for s in range(speakers)
        for c in range(clips_each)
    ]
    return pd.DataFrame(rows, columns=["path", "emotion", "speaker", "corpus", "channel"])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four voices that are angry and sad, four clips of each."""
    return make_corpus(tmp_path_factory.mktemp("corpora") / "mine")


def extract(corpus: Path, cache: Path, recipes: Sequence[Recipe], **options: Any) -> Dataset:
    """Return the features of a corpus, in one process."""
    options = {"seed": 0, "jobs": 1, "quiet": True, **options}
    return dataset.extract(corpora.scan(corpus), recipes, cache=cache, **options)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a training of this test keeps what is finished."""
    monkeypatch.setattr(train, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(train, "RESULTS", tmp_path / "results")
    return tmp_path / "cache"


PATIENCE = 120_000  # ms; a busy machine is no failure


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's microphone hears: three seconds that sound like speech."""
    file = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(file, speechlike(3), SAMPLE_RATE)
    return file


@pytest.fixture(scope="module")
def app_file() -> Path:
    """What the server runs."""
    return ROOT / "app.py"


@pytest.fixture(scope="module")
def server(app_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page; afterwards its log is searched for complaints."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app_file)]
    options = ["--server.address=127.0.0.1", f"--server.port={port}"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, *options], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=60)
    complaints = ("Traceback", "Error", "Warning", "deprecated")
    assert not [
        line for line in log.read_text().splitlines() if any(word in line for word in complaints)
    ]


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def browser(microphone: Path) -> Iterator[Any]:
    """A Chromium with a microphone."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: str) -> Iterator[Any]:
    """The page, opened; afterwards nothing may have left the machine and nothing have failed."""
    from playwright.sync_api import expect

    context = browser.new_context(
        permissions=["microphone"], viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda websocket: requests.append(websocket.url))
    page.goto(server)
    expect(uploader(page)).to_be_visible()
    yield page
    expect(page.get_by_test_id("stException")).to_have_count(0)
    local = (server, server.replace("http", "ws"), "data:", "blob:")
    assert [url for url in requests if not url.startswith(local)] == []
    assert [text for text in complaints if text.startswith(("error", "warning", "exc"))] == []
    context.close()


def uploader(page: Any) -> Any:
    """The place for recordings on the first view."""
    return page.get_by_test_id("stMain").get_by_test_id("stFileUploader").first


def upload(page: Any, *files: Path) -> None:
    """Bring recordings to the page."""
    uploader(page).locator("input[type=file]").set_input_files([str(file) for file in files])


def unfold(place: Any, label: str) -> None:
    """Open an expander, and wait until it stands open: a click while it grows may miss."""
    header = place.get_by_text(label, exact=True)
    header.click()
    grown = "() => document.getAnimations().every(one => !one.effect.target.closest('details'))"
    header.page.wait_for_function(grown)
