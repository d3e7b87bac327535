import base64
import io
import itertools

import numpy as np
import pandas as pd
import pytest
from conftest import speechlike
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from PIL import Image

import charts
import features
import palette
from audio import SAMPLE_RATE
from corpora import EMOTIONS
from sketch import MAX_COLUMNS, PIECE_SAMPLES, Sketch, Sketcher


def test_the_most_probable_emotion_is_on_top():
    probabilities = {"calm": 0.2, "sad": 0.7, "angry": 0.1}
    texts = {"calm": "a little", "sad": "a lot", "angry": "hardly"}
    rows = charts.probability_chart(probabilities, texts)["datasets"]["bars"].to_dict("records")
    assert [(row["emotion"], row["value"]) for row in rows] == [
        ("sad", "a lot"),
        ("calm", "a little"),
        ("angry", "hardly"),
    ]
    assert rows[0]["color"] == palette.COLORS["sad"]


def test_names_and_words_are_no_html():
    text = palette.verdict("<b>", "<b>", "<b>", None)
    assert "<b>" not in text
    assert text.count("&lt;b&gt;") == 3


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1, 120])
def test_the_picture_shows_the_whole_recording(seconds):
    waveform = speechlike(seconds)
    chart = str(charts.sound_chart(sketch(waveform), amplitude="Swing", frequency="Pitch"))
    assert chart.count(f"[0, {len(waveform) / SAMPLE_RATE}]") == 2  # one time axis, twice
    assert "data:image/png;base64," in chart
    assert "Swing" in chart
    assert "Pitch" in chart


def test_a_sketch_asked_for_while_a_piece_is_added_is_of_whole_pieces(monkeypatch):
    sketcher, asked = Sketcher(), []
    analyse = features.analyse

    def analyse_and_ask(waveform):
        if sketcher.pieces:
            asked.append(sketcher.sketch())
        return analyse(waveform)

    monkeypatch.setattr(features, "analyse", analyse_and_ask)
    for _ in range(3):
        sketcher.add(np.zeros(PIECE_SAMPLES, np.float32))
    ends = [found.wave.time.iloc[-1] + found.wave.time.iloc[1] for found in asked]
    assert ends == pytest.approx([found.seconds for found in asked], abs=0.01)
    lengths = [PIECE_SAMPLES / SAMPLE_RATE, 2 * PIECE_SAMPLES / SAMPLE_RATE]
    assert [found.seconds for found in asked] == pytest.approx(lengths)


def sketch(waveform: np.ndarray) -> Sketch:
    sketcher = Sketcher()
    for start in range(0, len(waveform), PIECE_SAMPLES):
        sketcher.add(waveform[start : start + PIECE_SAMPLES])
    return sketcher.sketch()


def test_the_spectrogram_is_dark_in_silence_and_bright_where_the_sound_is():
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(SAMPLE_RATE).astype(np.float32)
    faint = 1e-5 * noise
    pixels = image(np.concatenate([noise, faint]))
    half = pixels.shape[1] // 2
    assert pixels[:, : half - 5].mean() > 100
    assert pixels[:, half + 5 :].max() < 30
    assert image(faint).max() < 30


def test_a_low_note_is_at_the_bottom_of_the_spectrogram():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    brightness = image(np.sin(2 * np.pi * 500 * time).astype(np.float32)).mean(axis=1)
    height = 1 - (brightness.argmax() + 0.5) / len(brightness)
    assert height == pytest.approx(charts.mel_positions()[500], abs=0.02)


def test_a_moment_is_at_its_place_in_the_spectrogram_of_a_long_recording():
    waveform = np.zeros(6 * PIECE_SAMPLES, np.float32)
    start = round(0.7 * len(waveform))
    waveform[start : start + SAMPLE_RATE] = speechlike(1)
    pixels = image(waveform)
    assert MAX_COLUMNS / 2 < pixels.shape[1] <= MAX_COLUMNS
    assert pixels.max(axis=0).argmax() / pixels.shape[1] == pytest.approx(0.7, abs=0.005)


def image(waveform: np.ndarray) -> np.ndarray:
    """Brightness (mel bands, columns) of the spectrogram."""
    data = base64.b64decode(sketch(waveform).mel.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float).mean(axis=2)


@given(some.integers(1, 200_000), some.integers(0, 99))
def test_the_drawn_waveform_holds_every_peak(samples, seed):
    waveform = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    found = sketch(waveform)
    assert found.seconds == samples / SAMPLE_RATE
    assert len(found.wave) <= MAX_COLUMNS
    assert found.wave.low.min() == pytest.approx(waveform.min(), abs=1e-4)
    assert found.wave.high.max() == pytest.approx(waveform.max(), abs=1e-4)
    assert (found.wave.low <= found.wave.high).all()
    assert found.wave.time.is_monotonic_increasing
    assert found.wave.time.iloc[-1] <= found.seconds + 1e-4


SHARES = np.array([[0.6, 0.4], [0.1, 0.9], [0, 0], [0.5, 0.5]])


def course(shares: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The areas, and the hints over them."""
    times = 1.5 * np.arange(len(shares) + 1)
    chart = charts.course_chart(times, shares, ("calm", "sad"), seconds=times[-1], title="Share")
    return chart["datasets"]["areas"], chart["datasets"]["hints"]


def test_the_emotions_share_the_height_and_a_pause_is_a_gap():
    areas, _ = course(SHARES)
    begin, other = (areas[areas.time == time].sort_values("low") for time in (0, 1.5 * 1.5))
    assert list(begin.high - begin.low) == pytest.approx([0.6, 0.4])
    assert list(other.high - other.low) == pytest.approx([0.1, 0.9])
    assert areas.groupby("time").high.max().eq(1).all()
    assert not areas.time.between(3.01, 4.49).any()
    assert areas.part.nunique() == 4  # two emotions before the pause, two after it
    assert areas.time.max() == 6


@given(arrays(float, some.tuples(some.integers(1, 2000), some.just(2)), elements=some.floats(0, 1)))
def test_a_course_of_any_length_is_drawn_whole_and_with_few_points(shares):
    areas, hints = course(shares)
    assert len(hints) <= charts.MAX_WINDOWS
    assert len(areas) <= 6 * charts.MAX_WINDOWS
    if len(areas):
        assert areas.high.max() <= max(1, shares.sum(axis=1).max()) + 1e-3


def test_a_recording_of_pauses_has_a_course_too():
    assert len(course(np.zeros((5, 2)))[0]) == 0


def test_the_emotions_have_colours_that_colour_blind_people_tell_apart():
    assert set(palette.COLORS) == set(EMOTIONS)
    colors = linear_light(list(palette.COLORS.values()))
    for simulation in DICHROMACY:
        seen = oklab(np.clip(colors @ np.array(simulation).T, 0, 1))
        distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
        assert min(distances) > 0.12


@pytest.mark.parametrize("page", ["#ffffff", "#171614"])
def test_the_colours_are_visible_on_the_light_and_the_dark_page(page):
    luminance = linear_light([page, *palette.COLORS.values()]) @ [0.2126, 0.7152, 0.0722] + 0.05
    ratios = luminance[1:] / luminance[0]
    assert np.maximum(ratios, 1 / ratios).min() > 1.75


# Normal sight, protanopia, deuteranopia, tritanopia in linear light: Machado, Oliveira, Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009).
DICHROMACY = [
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
]


def linear_light(colors: list[str]) -> np.ndarray:
    srgb = np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(colors: np.ndarray) -> np.ndarray:
    cones = colors @ np.array(
        [[0.4122, 0.2119, 0.0883], [0.5363, 0.6807, 0.2817], [0.0514, 0.1074, 0.6300]]
    )
    return np.cbrt(cones) @ np.array(
        [[0.2105, 1.9780, 0.0259], [0.7936, -2.4286, 0.7828], [-0.0041, 0.4506, -0.8087]]
    )


def test_a_confusion_matrix_is_shown_in_shares_of_its_rows():
    emotions, matrix = ["angry", "sad"], np.array([[3, 1], [0, 2]])
    chart = charts.confusion_chart(matrix, emotions, truth="is", taken="heard as")
    cells = chart["datasets"]["cells"]
    assert list(cells.truth) == ["angry", "angry", "sad", "sad"]
    assert list(cells.taken) == ["angry", "sad", "angry", "sad"]
    assert list(cells.share) == [0.75, 0.25, 0, 1]
    assert list(cells.text) == ["75", "25", "", "100"]


def test_an_emotion_without_a_clip_has_no_row_in_a_confusion_matrix():
    emotions, matrix = ["angry", "sad"], np.array([[3, 1], [0, 0]])
    chart = charts.confusion_chart(matrix, emotions, truth="is", taken="heard as")
    cells = chart["datasets"]["cells"]
    assert list(zip(cells.truth, cells.taken, strict=True)) == [
        ("angry", "angry"),
        ("angry", "sad"),
    ]
