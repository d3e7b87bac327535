"""Many recordings in a real browser: rows, one that is opened, a stop in mid-run, downloads."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from conftest import speechlike, upload, uploader
from playwright.sync_api import Locator, Page, expect

from audio import SAMPLE_RATE
from views.text import Many as Text

ROW = 35  # pixels


def write(folder: Path, name: str, waveform: np.ndarray) -> Path:
    soundfile.write(folder / name, waveform, SAMPLE_RATE)
    return folder / name


def table(page: Page) -> Locator:
    return page.locator(".st-key-overview").get_by_test_id("stDataFrame")


def expect_opened(page: Page, row: int, name: str) -> None:
    """Click on a row, counted from 1, and expect its recording."""
    table(page).click(position={"x": 100, "y": (row + 0.5) * ROW})
    expect(page.locator(".st-key-recording")).to_contain_text(name)


def download(page: Page, ending: str) -> Path:
    with page.expect_download() as found:
        page.locator(f".st-key-download_{ending} button").click()
    return Path(found.value.path())


def test_of_many_files_each_is_a_row_that_opens_and_one_is_bad(page, tmp_path):
    names = ["03-01-08-01-01-01-01.wav", "03-01-05-01-01-01-01.wav"]
    files = [write(tmp_path, name, speechlike(3, seed=seed)) for seed, name in enumerate(names)]
    bad = tmp_path / "=bad.wav"
    bad.write_text("Remember the milk.")
    upload(page, *files, bad)
    expect(page.locator(".st-key-downloads")).to_be_visible()
    expect(page.locator(".st-key-progress")).to_have_count(0)
    expect(page.locator(".st-key-evaluation")).to_contain_text("on which this model was trained")
    expect_opened(page, 1, names[0])
    expect_opened(page, 2, names[1])
    table(page).click(position={"x": 100, "y": 3.5 * ROW})
    expect(page.get_by_test_id("stAlert")).to_contain_text("=bad.wav: no sound found in it")

    table(page).click(position={"x": 450, "y": 0.5 * ROW})  # sorts by name
    expect_opened(page, 3, names[0])
    page.locator(".st-key-filter").get_by_role("button", name=Text.UNREAD).click()
    expect(page.locator(".st-key-recording")).to_have_count(0)
    table(page).click(position={"x": 100, "y": 1.5 * ROW})
    expect(page.get_by_test_id("stAlert")).to_contain_text("=bad.wav: no sound found in it")

    table(page).hover()
    expect(page.get_by_role("button", name=f"Search: {Text.TABLE_ALT}")).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    assert list(pd.read_csv(download(page, "csv")).path) == [*names, "'=bad.wav"]
    assert list(pd.read_parquet(download(page, "parquet")).path) == [*names, "=bad.wav"]

    page.set_viewport_size({"width": 390, "height": 844})
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth")

    # The report opens from disk, and asks for nothing else.
    report = download(page, "html").rename(tmp_path / "report.html")
    reader = page.context.new_page()
    requests: list[str] = []
    reader.on("request", lambda request: requests.append(request.url))
    reader.goto(report.as_uri())
    expect(reader.get_by_role("heading", level=1)).to_have_text("3 recordings")
    expect(reader.get_by_role("cell", name="=bad.wav")).to_be_visible()
    assert requests == [report.as_uri()]


def test_three_hundred_files_are_three_hundred_rows(page, tmp_path):
    voice = speechlike(3)
    files = [
        write(tmp_path, f"{number:03}.wav", np.roll(voice, 150 * number)[: SAMPLE_RATE // 2])
        for number in range(300)
    ]
    upload(page, *files)
    expect(page.locator(".st-key-overview")).to_contain_text("300 recordings")
    expect(page.locator(".st-key-downloads")).to_be_visible()
    expect(page.locator(".st-key-progress")).to_have_count(0)
    assert list(pd.read_csv(download(page, "csv")).path) == [file.name for file in files]


def test_a_stop_keeps_what_is_done_and_a_reload_in_mid_run_loses_no_answer(page, tmp_path):
    long = np.tile(speechlike(10), 18)
    files = [
        write(tmp_path, "a.wav", speechlike(3)),
        *(write(tmp_path, f"{name}.wav", np.roll(long, place)) for place, name in enumerate("bcd")),
    ]
    upload(page, *files)
    page.locator(".st-key-stop button").click()
    progress = page.locator(".st-key-progress")
    expect(progress).to_contain_text("of 4 are done")
    expect(table(page)).to_be_visible()
    page.locator(".st-key-go_on button").click()
    expect(page.locator(".st-key-stop button")).to_be_visible()

    page.reload()
    expect(uploader(page)).to_be_visible()
    expect(page.locator(".st-key-overview")).to_have_count(0)
    upload(page, *files)
    expect(page.locator(".st-key-downloads")).to_be_visible()
    expect(progress).to_have_count(0)
    assert list(pd.read_csv(download(page, "csv")).path) == [file.name for file in files]
