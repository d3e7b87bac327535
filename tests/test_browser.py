"""The page in a real browser: ways in, one recording, a long one, and nothing sent elsewhere."""

import io
import shutil
import zipfile
from pathlib import Path

import pytest
import soundfile
from conftest import ROOT, speechlike, upload, uploader
from playwright.sync_api import Page, expect

import audio
from audio import SAMPLE_RATE
from classifier import EmotionClassifier
from views import course, examples, text

ROW_HEIGHT = 35  # of a table, in pixels


@pytest.fixture(scope="module")
def recording(microphone) -> Path:
    return microphone


def expect_answer(page: Page, file: Path, *, model: str = "frames") -> None:
    """Expect the answer that the classifier gives of the file, with all its pictures."""
    prediction = EmotionClassifier.load(ROOT / "model" / model).classify(file)
    card = page.locator(".st-key-recording")
    expect(card).to_contain_text(file.name)
    expect(card.get_by_test_id("emotion")).to_have_text(text.headline(prediction))
    expect(card.get_by_test_id("confidence")).to_have_text(text.details(prediction))
    expect_pictures(page)
    for emotion in prediction.probabilities:
        expect(card.locator(".st-key-probabilities svg.marks")).to_contain_text(emotion)


def expect_pictures(page: Page) -> None:
    card = page.locator(".st-key-recording")
    expect(card.locator(".st-key-probabilities svg.marks")).to_be_visible()
    expect(card.locator(".st-key-picture svg.marks image")).to_have_count(1)
    # The player has the sound: it knows how long it is.
    player = card.get_by_test_id("stAudio").first
    expect(player).to_be_visible()
    page.wait_for_function("document.querySelector('[data-testid=stAudio]').duration > 1")


def expect_no_sideways_scrolling(page: Page) -> None:
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth")


def test_an_original_ravdess_clip_is_classified(page, shared_data):
    clip = shared_data / "ravdess-original" / "03-01-05-02-01-01-01.wav"
    assert soundfile.info(clip).samplerate == 48_000
    upload(page, clip)
    expect_answer(page, clip)


def test_a_recording_stays_and_a_link_keeps_the_model(page, recording, server):
    upload(page, recording)
    expect_answer(page, recording)
    page.locator(".st-key-model").get_by_text(text.Page.MODELS["vector"][0]).click()
    expect_answer(page, recording, model="vector")
    assert page.url == f"{server}/?model=vector"

    page.get_by_role("link", name=text.Page.MODEL_PAGE).click()
    expect(page.get_by_role("heading", name=text.Page.MODEL_PAGE)).to_be_visible()
    assert page.url == f"{server}/model?model=vector"
    page.get_by_role("link", name=text.Page.LISTEN).click()
    expect_answer(page, recording, model="vector")

    page.goto(f"{server}/?model=vector")
    upload(page, recording)
    expect_answer(page, recording, model="vector")
    page.get_by_role("button", name=text.Listen.CLEAR).click()
    expect(page.locator(".st-key-emotions")).to_be_visible()
    expect(page.locator(".st-key-recording")).to_have_count(0)


def test_a_phone_shows_everything_without_scrolling_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name=text.Listen.LONG).click()
    expect_pictures(page)
    expect_no_sideways_scrolling(page)
    for view in (text.Page.TEACH, text.Page.MODEL_PAGE, text.Page.LISTEN):
        page.get_by_role("link", name=view).click()
        title = text.Page.TITLE if view == text.Page.LISTEN else view
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        expect_no_sideways_scrolling(page)


def test_a_click_plays_just_that_stretch(page):
    page.get_by_role("button", name=text.Listen.LONG).click()
    expect_pictures(page)
    model = EmotionClassifier.load(ROOT / "model" / "frames")
    pieces = [audio.load(examples.long())]
    third, fourth = course.stretches(model, list(model.stream_segments(pieces)))[2:4]
    table = page.locator(".st-key-recording").get_by_test_id("stDataFrame")
    table.click(position={"x": 20, "y": 3.5 * ROW_HEIGHT})
    for stretch in (third, fourth):
        times = f"{text.clock(stretch.start)} to {text.clock(stretch.end)}"
        expect(page.locator(".st-key-slice")).to_contain_text(times)
        expect_to_play(page, seconds=stretch.end - stretch.start)
        page.keyboard.press("ArrowDown")
    # Only the course was drawn anew: the answer stands there as before.
    expect(page.locator(".st-key-recording").get_by_test_id("emotion")).to_be_visible()


def expect_to_play(page: Page, *, seconds: float) -> None:
    """Expect the player of the stretch to play, and to hold about so many seconds."""
    page.wait_for_function(
        """seconds => {
            const player = document.querySelector('.st-key-slice audio');
            return player && player.currentTime > 0 && Math.abs(player.duration - seconds) < 1;
        }""",
        arg=seconds,
    )


def test_a_voice_is_recorded_with_the_microphone(page):
    microphone = page.get_by_test_id("stMain").get_by_test_id("stAudioInput")
    microphone.get_by_role("button", name="Record").click()
    page.wait_for_timeout(2500)
    microphone.get_by_role("button", name="Stop recording").click()
    expect(page.locator(".st-key-recording")).to_contain_text(text.Listen.RECORDED)
    expect_pictures(page)


def test_a_text_file_gets_a_plain_message(page, tmp_path):
    notes = tmp_path / "notes.wav"
    notes.write_text("Remember the milk.")
    upload(page, notes)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("notes.wav: no sound found in it")
    expect(page.locator(".st-key-recording")).to_have_count(0)


def test_a_folder_is_dropped_with_a_zip_in_a_zip_in_it(page, recording, tmp_path):
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    folder = tmp_path / "folder"
    (folder / "angry").mkdir(parents=True)
    shutil.copy(recording, folder / "angry" / "a.wav")
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.write(recording, "sad/c.wav")
        archive.writestr("inner.zip", inner.getvalue())
    drop(page, folder)
    overview = page.locator(".st-key-overview")
    expect(overview).to_contain_text("3 recordings")
    expect(overview.get_by_role("button", name=text.Many.UNREAD)).to_be_visible()


def drop(page: Page, path: Path) -> None:
    """Drop a file or folder on the page, as from the desktop."""
    box = uploader(page).get_by_test_id("stFileUploaderDropzone").bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


@pytest.fixture(scope="module")
def two_hours(tmp_path_factory) -> Path:
    """Two hours that sound like speech: no machine is through in a moment."""
    file = tmp_path_factory.mktemp("long") / "long.wav"
    minute = speechlike(60)[::2]
    with soundfile.SoundFile(file, "w", SAMPLE_RATE // 2, 1, subtype="ULAW") as sound:
        for _ in range(120):
            sound.write(minute)
    return file


def test_two_hours_can_be_stopped_and_gone_on_with_after_a_reload_too(page, two_hours):
    upload(page, two_hours)
    first = share(page)
    expect(page.locator(".st-key-emotions")).to_have_count(0)  # what it was is gone meanwhile
    later = share(page, above=first)
    page.get_by_role("button", name=text.Course.STOP).click()
    expect(page.locator(".st-key-stopped")).to_contain_text("Stopped after")
    expect_pictures(page)  # of what was heard
    expect(page.get_by_test_id("stProgress")).to_have_count(0)

    page.get_by_role("button", name=text.Course.GO_ON).click()
    assert share(page, above=later) > later  # nothing is heard twice
    page.reload()
    upload(page, two_hours)
    share(page, above=later)  # the bar may run through what was heard before
    page.get_by_role("button", name=text.Course.STOP).click()
    expect(page.locator(".st-key-stopped")).to_contain_text("Stopped after")


def share(page: Page, *, above: int = 0) -> int:
    """Return what the bar shows, in hundredths, as soon as that is more than `above`."""
    bar = "document.querySelector('[data-testid=stProgress] [role=progressbar]')"
    found = page.wait_for_function(
        f"above => {{ const bar = {bar}; const now = bar && Number(bar.ariaValueNow); "
        "return now > above ? now : null; }",
        arg=above,
    )
    return found.json_value()
