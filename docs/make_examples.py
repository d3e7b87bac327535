"""Make what README.md shows: the output of the commands, and pictures of the page.

    python docs/make_examples.py [RAVDESS_ORIGINALS]

The folder holds recordings as RAVDESS publishes them; without it the pictures show made-up voices,
and the output of the commands stays as it is. Needs the development requirements and a Chromium.
Writes docs/output/*.txt and docs/images/*.png; `make tables` puts the former into README.md.
"""

import argparse
import contextlib
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
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import audio  # noqa: E402
from views import examples, text  # noqa: E402

PICTURES = ROOT / "docs" / "images"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWPORTS = {"desktop": (1280, 800), "phone": (390, 844)}
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
    with tempfile.TemporaryDirectory() as folder, serve() as url, sync_playwright() as playwright:
        clips = sorted(originals.resolve().glob("*.wav")) if originals else make_up(Path(folder))
        course = join(clips, Path(folder) / "conversation.wav")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for name, show in views(clips, course).items():
            for device in VIEWPORTS:
                for scheme in SCHEMES:
                    picture(browser, url, name, show, device, scheme)
        browser.close()
    return 0


def make_up(folder: Path) -> list[Path]:
    """Write some made-up voices."""
    files = []
    for number in range(6):
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


def views(clips: list[Path], course: Path) -> dict[str, Callable[[Page], None]]:
    """Return what is done on the page for each picture, by the name of the picture."""

    def nothing(page: Page) -> None:
        pass

    def clip(page: Page) -> None:
        upload(page, clips[4 % len(clips)])

    def stretch(page: Page) -> None:
        upload(page, course)
        table = page.locator(".st-key-recording").get_by_test_id("stDataFrame")
        table.click(position={"x": 20, "y": 52})

    def several(page: Page) -> None:
        upload(page, *clips[:6])

    def numbers(page: Page) -> None:
        clip(page)
        page.get_by_text(text.Recording.NUMBERS).click()
        page.get_by_text(text.Numbers.NUMBERS).wait_for()

    def voice(page: Page) -> None:
        open_sidebar(page)
        page.get_by_test_id("stSidebar").get_by_text(text.Voice.NAME).click()
        page.get_by_test_id("stSidebar").get_by_text(text.Voice.UPLOAD).wait_for()

    return {
        "empty": nothing,
        "clip": clip,
        "course": stretch,
        "several": several,
        "numbers": numbers,
        "voice": voice,
        "teach": lambda page: go_to(page, text.Page.TEACH),
        "model": lambda page: go_to(page, text.Page.MODEL_PAGE),
    }


def upload(page: Page, *files: Path) -> None:
    """Bring recordings, and wait for their answer."""
    uploader = page.get_by_test_id("stMain").get_by_test_id("stFileUploader").first
    uploader.locator("input[type=file]").set_input_files([str(file) for file in files])
    wanted = ".st-key-picture svg.marks" if len(files) == 1 else ".st-key-downloads"
    page.locator(wanted).first.wait_for()


def open_sidebar(page: Page) -> None:
    """Open the sidebar, where a narrow screen hides it."""
    button = page.get_by_test_id("stExpandSidebarButton")
    if button.is_visible():
        button.click()


def go_to(page: Page, view: str) -> None:
    """Choose a view in the navigation."""
    open_sidebar(page)
    page.get_by_role("link", name=view).click()
    page.get_by_test_id("stMain").get_by_role("heading", name=view).wait_for()
    if page.viewport_size == dict(zip(("width", "height"), VIEWPORTS["phone"], strict=True)):
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()


def write_output(originals: Path) -> None:
    """Write what test_model.py prints of a folder."""
    command = [sys.executable, str(ROOT / "test_model.py"), originals.name, "--quiet"]
    run = subprocess.run(command, cwd=originals.parent, capture_output=True, text=True, check=True)
    (ROOT / "docs" / "output" / "test_model.txt").write_text(run.stdout, encoding="utf-8")


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Serve the page on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
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
    page.wait_for_timeout(2000)  # animations
    # Streamlit scrolls inside the page: a window as high as its content shows all of it.
    parts = ("[data-testid=stMain]", "[aria-expanded=true] [data-testid=stSidebarContent]")
    content = max(
        page.evaluate("part => document.querySelector(part)?.scrollHeight ?? 0", part)
        for part in parts
    )
    page.set_viewport_size({"width": width, "height": max(height, content)})
    page.wait_for_timeout(1000)
    page.screenshot(path=PICTURES / f"{name}-{device}-{scheme}.png")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
