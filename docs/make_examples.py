"""Make what README.md shows: the output of the commands, and pictures of the page.

    python docs/make_examples.py [RAVDESS_ORIGINALS]

The folder holds recordings as RAVDESS publishes them; without it the pictures show made-up voices,
and the output of the commands stays as it is. Needs the development requirements and a Chromium.
Writes docs/output/*.txt and docs/images/*.png; `make tables` puts the former into README.md.
"""

import argparse
import contextlib
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import audio  # noqa: E402
import corpora  # noqa: E402
import my_recordings  # noqa: E402
import palette  # noqa: E402
from views import examples, text  # noqa: E402

PICTURES = ROOT / "docs" / "images"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWPORTS = {"desktop": (1280, 800), "phone": (390, 844)}
CLIP = 4  # which of the clips is shown alone
CLIPS = 6  # how many are shown together
PAGE = """
import pathlib, sys
sys.path.insert(0, {root!r})
import my_recordings
my_recordings.FOLDER = pathlib.Path({kept!r})
import app
app.main()
"""
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def main() -> int:
    """Write the outputs and the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path, nargs="?")
    originals = parser.parse_args().originals
    if originals:
        write_output(originals.resolve())
    with contextlib.ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        clips = sorted(originals.resolve().glob("*.wav")) if originals else make_up(folder)
        course = join(clips, folder / "conversation.wav")
        voice = join(
            [clip for clip in clips if actor(clip) == actor(clips[CLIP])], folder / "v.wav"
        )
        my_recordings.FOLDER = folder / "my_recordings"
        teach(clips)
        url = closing.enter_context(serve(folder))
        playwright = closing.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for name, show in views(clips, course, voice).items():
            for device in VIEWPORTS:
                for scheme in SCHEMES:
                    picture(browser, url, name, show, device, scheme)
        browser.close()
    return 0


def make_up(folder: Path) -> list[Path]:
    """Write some made-up voices."""
    files = []
    for number in range(CLIPS):
        manner = (examples.LIVELY, examples.GENTLE)[number % 2]
        files.append(folder / f"voice-{number}.wav")
        files[-1].write_bytes(examples.short(manner, number))
    return files


def join(clips: list[Path], file: Path) -> Path:
    """Write clips one after the other, with pauses, as a longer recording."""
    pause = np.zeros(4 * audio.SAMPLE_RATE, np.float32)
    parts = [part for clip in clips for part in (audio.load(clip), audio.load(clip), pause)]
    soundfile.write(file, np.concatenate(parts[:-1]), audio.SAMPLE_RATE)
    return file


def actor(clip: Path) -> str:
    """Return who speaks, as the end of a name tells."""
    return clip.stem[-2:]


def teach(clips: list[Path]) -> None:
    """Save clips as if they had been saved on the page."""
    for clip in clips[:CLIPS]:
        known = corpora.parse_name(clip.name)
        emotion = known.emotion if known else "neutral"
        my_recordings.keep(clip.read_bytes(), voice=f"actor {actor(clip)}", emotion=emotion)


def views(clips: list[Path], course: Path, voice: Path) -> dict[str, Callable[[Page], None]]:
    """Return what is done on the page for each picture, by the name of the picture."""

    def nothing(page: Page) -> None:
        pass

    def clip(page: Page) -> None:
        upload(page, clips[CLIP])

    def stretch(page: Page) -> None:
        upload(page, course)
        table = page.locator(".st-key-recording").get_by_test_id("stDataFrame")
        table.click(position={"x": 20, "y": 52})

    def several(page: Page) -> None:
        upload(page, *clips[:CLIPS])

    def numbers(page: Page) -> None:
        clip(page)
        page.get_by_text(text.Recording.NUMBERS).click()
        page.get_by_text(text.Numbers.NUMBERS).wait_for()

    def known(page: Page) -> None:
        clip(page)
        page.get_by_text(text.Voice.NAME, exact=True).click()
        page.locator(".st-key-voice input[type=file]").set_input_files(voice)
        page.get_by_test_id("aside").wait_for()

    return {
        "empty": nothing,
        "clip": clip,
        "course": stretch,
        "several": several,
        "numbers": numbers,
        "voice": known,
        "teach": lambda page: go_to(page, text.Page.TEACH),
        "model": lambda page: go_to(page, text.Page.MODEL_PAGE),
    }


def upload(page: Page, *files: Path) -> None:
    """Bring recordings, and wait for their answer."""
    uploader = page.get_by_test_id("stMain").get_by_test_id("stFileUploader").first
    uploader.locator("input[type=file]").set_input_files([str(file) for file in files])
    wanted = ".st-key-picture svg.marks" if len(files) == 1 else ".st-key-downloads"
    page.locator(wanted).first.wait_for()


def go_to(page: Page, view: str) -> None:
    """Choose a view in the navigation."""
    page.get_by_role("link", name=view).click()
    page.get_by_test_id("stMain").get_by_role("heading", name=view).wait_for()


def write_output(originals: Path) -> None:
    """Write what test_model.py prints of a folder."""
    command = [sys.executable, str(ROOT / "test_model.py"), originals.name, "--quiet"]
    run = subprocess.run(command, cwd=originals.parent, capture_output=True, text=True, check=True)
    (ROOT / "docs" / "output" / "test_model.txt").write_text(run.stdout, encoding="utf-8")


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the page on a free port; what is saved on it lies in the folder."""
    app = folder / "page.py"
    app.write_text(PAGE.format(root=str(ROOT), kept=str(my_recordings.FOLDER)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={port}"]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health")
                break
            time.sleep(0.2)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait()


def picture(
    browser: Browser,
    url: str,
    name: str,
    show: Callable[[Page], None],
    device: str,
    scheme: Literal["light", "dark"],
) -> None:
    """Take a picture of the whole page after something was done on it."""
    width, height = VIEWPORTS[device]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=device == "phone",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    page.get_by_test_id("stMain").get_by_test_id("stFileUploader").first.wait_for()
    show(page)
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_timeout(2000)  # animations
    # Streamlit scrolls inside the page: a window as high as its content shows all of it.
    content = page.get_by_test_id("stMain").evaluate("part => part.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(height, content)})
    page.wait_for_timeout(1000)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    with_palette(shot).save(PICTURES / f"{name}-{device}-{scheme}.png", optimize=True)
    context.close()


def with_palette(shot: Image.Image) -> Image.Image:
    """Return a picture in 256 colours, a third as large: those of the emotions, and its own."""
    emotions = [part for color in palette.COLORS.values() for part in bytes.fromhex(color[1:])]
    own = shot.quantize(256 - len(palette.COLORS)).getpalette() or []
    colors = Image.new("P", (1, 1))
    colors.putpalette(emotions + own)
    return shot.quantize(palette=colors, dither=Image.Dither.NONE)


if __name__ == "__main__":
    sys.exit(main())
