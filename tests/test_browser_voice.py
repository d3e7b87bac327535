"""My voice and Teach it in a real browser, with a microphone that hears a file."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, make_corpus, unfold, upload
from playwright.sync_api import Page, expect

import audio
from classifier import EmotionClassifier
from views.text import percent

PAGE = """
import pathlib, sys
sys.path.insert(0, {root!r})
place = pathlib.Path({place!r})
import my_recordings, retraining, train
from views import session
my_recordings.FOLDER = place / "data" / "my_recordings"
train.DATA = place / "data"
retraining.FOLDER = place / "retraining"
retraining.PROGRAM = [sys.executable, str(place / "train.py")]
session.MODEL_FOLDER = retraining.MODELS = place / "model"
import app
app.main()
"""
# A training in name only: half a dozen passes, another half when it may, and a model that was there
# before.
TRAIN = """
import pathlib, shutil, sys, time
sys.path.insert(0, {root!r})
from progress import Progress
output = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
log = Progress(pathlib.Path(sys.argv[-1]))
log.note(step="features", done=1, total=1)
for epoch in range(1, 13):
    log.note(training="one", epoch=epoch, epochs=12, loss=2.0 / epoch)
    log.note(step="the model", done=epoch, total=12)
    while epoch == 6 and not (output.parent.parent / "may_end").exists():
        time.sleep(0.2)
shutil.copytree(output.parent / "vector", output)
log.note(finished=str(output))
"""


@pytest.fixture(scope="module")
def microphone(shared_data, tmp_path_factory) -> Path:
    """What the browser's microphone hears: half a minute of one actor, calm and neutral."""
    actor = shared_data / "ravdess" / "Audio_Speech_Actors_01-24" / "Actor_03"
    clips = [audio.load(clip) for clip in sorted(actor.glob("03-01-0[12]-*"))[:8]]
    file = tmp_path_factory.mktemp("voice") / "voice.wav"
    soundfile.write(file, np.concatenate(clips), audio.SAMPLE_RATE)
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where the page saves: the shipped models, and a small corpus."""
    place = tmp_path_factory.mktemp("place")
    make_corpus(place / "data" / "acted", speakers=3, clips=2)
    (place / "model").mkdir()
    for name in ("frames", "vector"):
        (place / "model" / name).symlink_to(ROOT / "model" / name)
    (place / "train.py").write_text(TRAIN.format(root=str(ROOT)))
    return place


@pytest.fixture(scope="module")
def app_file(place) -> Path:
    """The page, but what it saves and trains lies in that place."""
    file = place / "page.py"
    file.write_text(PAGE.format(root=str(ROOT), place=str(place)))
    return file


@pytest.fixture(scope="module")
def clip(shared_data) -> Path:
    """A sad recording of the same actor."""
    actor = shared_data / "ravdess" / "Audio_Speech_Actors_01-24" / "Actor_03"
    return actor / "03-01-04-02-01-01-03.flac"


def open_view(page: Page, name: str, *, title: str = "") -> None:
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=title or name)).to_be_visible()
    # A click while the rest is still being drawn may hit what is about to be replaced.
    idle = re.compile("notRunning")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", idle)


def test_a_recorded_voice_adapts_the_answers_until_it_is_switched_off(page, clip):
    upload(page, clip)
    alone = EmotionClassifier.load(ROOT / "model" / "frames").classify(clip)
    sure = page.get_by_test_id("confidence")
    expect(sure).to_contain_text(percent(alone.confidence), ignore_case=True)
    without = sure.inner_text()

    unfold(page, "My voice")
    voice = page.locator(".st-key-voice")
    voice.get_by_role("button", name="Record").click()
    page.wait_for_timeout(14_000)
    voice.get_by_role("button", name="Stop recording").click()
    expect(voice).to_contain_text("Your voice is known")
    expect(sure).not_to_have_text(without)
    adapted, other = sure.inner_text(), page.get_by_test_id("aside")
    expect(other).to_contain_text("Not adapted to your voice")
    expect(other).to_contain_text(without)

    switch = voice.get_by_text("Adapt answers to my voice")
    switch.click()
    expect(sure).to_have_text(without)
    expect(other).to_contain_text(adapted)
    switch.click()
    expect(sure).not_to_have_text(without)
    open_view(page, "Teach it")
    open_view(page, "Listen", title="Which emotion is in this voice?")
    expect(voice).to_contain_text("Your voice is known")
    expect(sure).to_have_text(adapted)
    unfold(page, "My voice")
    voice.get_by_role("button", name="Forget my voice").click()
    expect(voice.get_by_role("button", name="Record")).to_be_visible()
    expect(sure).to_have_text(without)
    expect(other).to_have_count(0)


def test_a_model_is_taught_and_leaving_in_mid_training_loses_nothing(page, server, clip, place):
    upload(page, clip)
    main = page.get_by_test_id("stMain")
    unfold(main, "This was …")
    offer = main.get_by_test_id("stForm")
    offer.get_by_text("calm", exact=True).click()
    offer.get_by_role("textbox").fill("Ann")
    offer.get_by_role("button", name="Save").click()
    expect(main).to_contain_text("Nothing was saved, because the box is not ticked")
    offer.get_by_text("Save this clip").click()
    offer.get_by_role("button", name="Save").click()
    expect(main).to_contain_text("Saved as calm, voice ann")
    (file,) = (place / "data" / "my_recordings").iterdir()
    assert file.name.startswith("ann_calm_")

    open_view(page, "Teach it")
    expect(main).to_contain_text("Collected clips: 1")
    expect(main).to_contain_text("acted: 12 clips")
    page.get_by_role("button", name="Train", exact=True).click()
    training = page.locator(".st-key-training")
    expect(training).to_contain_text("my-voice-1 is being trained")
    expect(training.locator("svg.marks")).to_be_visible()
    page.goto(server)  # another visit: nothing is kept in the tab
    open_view(page, "Teach it")
    expect(training).to_contain_text("my-voice-1 is being trained")
    (place / "may_end").touch()
    expect(main).to_contain_text("my-voice-1 is trained")
    expect(main).to_contain_text("my-voice-1: right answers")
    page.get_by_role("button", name="Use my-voice-1").click()
    expect(page.get_by_role("button", name="my-voice-1 is in use")).to_be_disabled()
    assert "model=my-voice-1" in page.url
