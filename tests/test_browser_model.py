"""The model's page and the explanation of an answer in a real browser, light and dark."""

import json

from conftest import ROOT, unfold, upload
from playwright.sync_api import Locator, Page, expect

from model_folder import MANIFEST
from views import model, session
from views.text import Model, Numbers, Recording
from views.text import Page as Words


def expect_charts(place: Locator, count: int) -> None:
    # One that is folded away may have been drawn before its place was folded.
    charts = place.locator("svg.marks:not(details:not([open]) *)")
    expect(charts).to_have_count(count)
    for chart in charts.all():
        expect(chart).to_be_visible()


def expect_nothing_beside_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    main = page.get_by_test_id("stMain")
    page.wait_for_function(
        "main => main.scrollWidth <= main.clientWidth", arg=main.element_handle()
    )
    for chart in main.locator("svg.marks").all():
        expect(chart).to_be_visible()
        box = chart.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    page.set_viewport_size({"width": 1280, "height": 900})


def expect_brightness(page: Page, condition: str) -> None:
    """Expect of the numbers in a confusion matrix, from 0 (black) to 255, a condition."""
    page.wait_for_function(
        """condition => {
            const text = document.querySelector('.st-key-confusion .mark-text text');
            if (!text) return false;
            const [red, green, blue] = getComputedStyle(text).color.match(/[0-9.]+/g).map(Number);
            const brightness = (red + green + blue) / 3;
            return condition === 'dark' ? brightness < 100 : brightness > 155;
        }""",
        arg=condition,
    )


def test_the_models_and_their_figures(page) -> None:
    page.get_by_role("link", name=Words.MODEL_PAGE).click()
    main = page.get_by_test_id("stMain")
    expect(main.get_by_role("heading", name=Model.LIMITS)).to_be_visible()
    shown = {}
    for kind in session.SHIPPED:
        page.locator(".st-key-model").get_by_text(Words.MODELS[kind][0]).click()
        manifest = json.loads((ROOT / "model" / kind / MANIFEST).read_text("utf-8"))
        tests = model.by_test(manifest["metrics"])
        for test, records in tests.items():
            main.locator(".st-key-test").get_by_text(test, exact=True).click()
            figures = main.locator(".st-key-uar").get_by_test_id("stMetricValue")
            expect(figures).to_have_text([f"{record['uar']:.1%}" for record in records])
        shown[kind] = f"{records[0]['uar']:.1%}"
        expect_charts(main, 3 + len(records))
    assert shown["frames"] != shown["vector"]

    unfold(main, Model.ALL_TESTS)
    expect_charts(main, 4 + len(records))
    expect_nothing_beside_a_phone(page)
    expect_brightness(page, "dark")
    page.emulate_media(color_scheme="dark")
    expect_brightness(page, "bright")

    main.get_by_role("button", name=Model.MEASURE).click()
    expect(main).to_contain_text("ms for a recording of four seconds")


def test_what_decided_and_the_numbers(page, microphone) -> None:
    upload(page, microphone)
    main = page.get_by_test_id("stMain")
    unfold(main, Recording.NUMBERS)
    moments, numbers = main.locator(".st-key-moments"), main.locator(".st-key-features")
    expect_charts(moments, 1)
    expect(moments).to_contain_text("Zeiler and Fergus")
    expect(numbers.get_by_test_id("stDataFrame")).to_be_visible()
    group, hint = Numbers.GROUPS[4]
    numbers.locator(".st-key-group").get_by_text(group).click()
    expect(numbers).to_contain_text(hint)
    expect_nothing_beside_a_phone(page)
