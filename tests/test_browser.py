"""The page in a real browser: server, upload, microphone, pictures, and nothing sent elsewhere."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, speechlike
from playwright.sync_api import Browser, Page, expect, sync_playwright

import app
from audio import SAMPLE_RATE
from classifier import EmotionClassifier

PATIENCE = 120_000  # ms; a busy machine is no failure
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Three seconds that sound like speech."""
    file = tmp_path_factory.mktemp("recordings") / "voice.wav"
    soundfile.write(file, speechlike(3), SAMPLE_RATE)
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """The address of the page; afterwards its log is searched for complaints."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
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
def browser(recording) -> Iterator[Browser]:
    """A Chromium whose microphone hears the recording."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={recording}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server) -> Iterator[Page]:
    """The page, opened; afterwards nothing may have left the machine and nothing have failed."""
    context = browser.new_context(
        permissions=["microphone"], viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda websocket: requests.append(websocket.url))
    page.goto(server)
    expect(page.get_by_test_id("stFileUploaderDropzone")).to_be_visible()
    yield page
    expect(page.get_by_test_id("stException")).to_have_count(0)
    local = (server, server.replace("http", "ws"), "data:", "blob:")
    assert [url for url in requests if not url.startswith(local)] == []
    assert [text for text in complaints if text.startswith(("error", "warning", "exc"))] == []
    context.close()


def upload(page: Page, *files: Path) -> None:
    page.locator("input[type=file]").set_input_files([str(file) for file in files])


def expect_answer(page: Page, file: Path, *, model: str = "frames") -> None:
    """Expect the answer that the classifier gives of the file, with all its pictures."""
    prediction = EmotionClassifier.load(ROOT / "model" / model).classify(file)
    card = page.locator(".st-key-recording")
    expect(card).to_contain_text(file.name)
    expect(card.get_by_test_id("emotion")).to_have_text(app.headline(prediction))
    expect(card.get_by_test_id("confidence")).to_contain_text(
        app.percent(prediction.confidence), ignore_case=True
    )
    expect_pictures(page)
    for emotion in prediction.probabilities:
        expect(card.locator(".st-key-probabilities svg.marks")).to_contain_text(emotion)


def expect_pictures(page: Page) -> None:
    card = page.locator(".st-key-recording")
    expect(card.locator(".st-key-probabilities svg.marks")).to_be_visible()
    expect(card.locator(".st-key-picture svg.marks image")).to_have_count(1)
    # The player has the sound: it knows how long it is.
    player = card.get_by_test_id("stAudio")
    expect(player).to_be_visible()
    page.wait_for_function("document.querySelector('[data-testid=stAudio]').duration > 1")


def test_an_original_ravdess_clip_is_classified(page, shared_data):
    clip = shared_data / "ravdess-original" / "03-01-05-02-01-01-01.wav"
    assert soundfile.info(clip).samplerate == 48_000
    upload(page, clip)
    expect_answer(page, clip)


def test_any_recording_is_classified(page, recording):
    upload(page, recording)
    expect_answer(page, recording)


def test_a_text_file_gets_a_plain_message(page, tmp_path):
    notes = tmp_path / "notes.wav"
    notes.write_text("Remember the milk.")
    upload(page, notes)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("notes.wav: no sound found in it")
    expect(page.locator(".st-key-recording")).to_have_count(0)


def test_of_several_files_one_is_chosen_in_the_table(page, recording, tmp_path):
    files = [tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav"]
    shutil.copy(recording, files[0])
    files[1].write_text("Remember the milk.")
    soundfile.write(files[2], np.zeros(2 * SAMPLE_RATE), SAMPLE_RATE)
    upload(page, *files)
    expect_answer(page, files[0])
    table = page.locator(".st-key-overview").get_by_test_id("stDataFrame")

    row_height = 35
    table.click(position={"x": 15, "y": 3.5 * row_height})
    card = page.locator(".st-key-recording")
    expect(card).to_contain_text("c.wav")
    expect(card.get_by_test_id("emotion")).to_have_text("No emotion to judge")
    table.click(position={"x": 15, "y": 2.5 * row_height})
    expect(page.get_by_test_id("stAlert")).to_contain_text("b.wav: no sound found in it")

    with page.expect_download() as download:
        page.locator(".st-key-download button").click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert rows[0].startswith("path,emotion,confidence,uncertain,angry,")
    assert [row.split(",")[0] for row in rows[1:]] == ["a.wav", "b.wav", "c.wav"]


def test_a_voice_is_recorded_with_the_microphone(page):
    microphone = page.get_by_test_id("stAudioInput")
    microphone.get_by_role("button", name="Record").click()
    page.wait_for_timeout(2500)
    microphone.get_by_role("button", name="Stop recording").click()
    expect(page.locator(".st-key-recording")).to_contain_text("Your recording")
    expect_pictures(page)


def test_a_phone_shows_everything_without_scrolling_sideways(page, recording):
    page.set_viewport_size({"width": 390, "height": 844})
    upload(page, recording)
    expect_pictures(page)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth")


def test_the_other_model_can_be_chosen(page, recording):
    upload(page, recording)
    expect_answer(page, recording)
    page.locator(".st-key-model").get_by_text(app.MODELS["vector"][0]).click()
    expect_answer(page, recording, model="vector")


def test_a_long_recording_moves_a_bar_once(page, tmp_path):
    file = tmp_path / "long.wav"
    soundfile.write(file, np.tile(speechlike(10), 30), SAMPLE_RATE)
    page.evaluate(
        """() => {
            window.shares = [];
            new MutationObserver(() => {
                const bar = document.querySelector('[data-testid=stProgress] [role=progressbar]');
                if (bar) window.shares.push(Number(bar.getAttribute('aria-valuenow')));
            }).observe(document.body, {subtree: true, childList: true, attributes: true});
        }"""
    )
    upload(page, file)
    expect_answer(page, file)
    shares = page.evaluate("window.shares")
    assert len(set(shares)) > 2
    assert shares == sorted(shares)
    expect(page.get_by_test_id("stProgress")).to_have_count(0)

    page.evaluate("window.shares.length = 0")
    page.locator(".st-key-model").get_by_text(app.MODELS["vector"][0]).click()
    expect_answer(page, file, model="vector")
    page.evaluate("window.shares.length = 0")
    page.locator(".st-key-model").get_by_text(app.MODELS["frames"][0]).click()
    expect_answer(page, file)
    assert page.evaluate("window.shares") == []
