"""Make what README.md shows: the output of the commands, and pictures of the page.

    python docs/make_examples.py RAVDESS_ORIGINALS

The folder holds recordings as RAVDESS publishes them. Needs the development requirements and a
Chromium. Writes docs/output/*.txt and docs/images/*.png; `make tables` puts the former into
README.md.
"""

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWPORTS = {"desktop": (1280, 800), "phone": (390, 844)}
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def main() -> int:
    """Write the outputs and the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("originals", type=Path)
    originals = parser.parse_args().originals.resolve()
    write_output(originals)
    clips = sorted(originals.glob("*.wav"))
    views = {"empty": [], "clip": clips[4:5], "several": clips[:6]}
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for view, files in views.items():
            for device in VIEWPORTS:
                for scheme in SCHEMES:
                    picture(browser, url, view, files, device, scheme)
        browser.close()
    return 0


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
    view: str,
    files: list[Path],
    device: str,
    scheme: Literal["light", "dark"],
) -> None:
    """Take a picture of the whole page after uploading some files."""
    width, height = VIEWPORTS[device]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=device == "phone",
    )
    page = context.new_page()
    page.goto(url)
    page.get_by_test_id("stFileUploader").wait_for(timeout=60_000)
    if files:
        page.locator("input[type=file]").set_input_files([str(file) for file in files])
        drawn = page.locator(".st-key-picture").locator("canvas, svg").first
        drawn.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)  # animations
    # Streamlit scrolls inside the page: a window as high as its content shows all of it.
    content = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(height, content)})
    page.wait_for_timeout(1000)
    page.screenshot(path=ROOT / "docs" / "images" / f"{view}-{device}-{scheme}.png")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
