"""The robustness benchmark: its conditions, and what it makes of the answers."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import librosa.effects  # noqa: F401  (its first import takes seconds, and draws a number)
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import speechlike

import audio
from audio import SAMPLE_RATE
from augment import BandLimit
from benchmarks import conditions, robustness
from classifier import Prediction
from corpora import EMOTIONS

NAMES = tuple(conditions.table(None, None, ()))
PAUSE = 5000  # samples at either end of the voice
# Seconds more than before, and the factor of the length; all others keep it.
LENGTHS = {
    "0.5 s of silence around": (1.0, 1),
    "0.1 s cut off both ends": (-0.2, 1),
    "2 % slower": (0, 1 / 0.98),
    "2 % faster": (0, 1 / 1.02),
}
DRAWN = {
    *(
        f"{sound}, {snr} dB"
        for sound in ("white noise", "everyday sound", "babble")
        for snr in (20, 10)
    ),
    "room",
}


def rng(seed=0):
    return np.random.default_rng(seed)


def power(waveform):
    return np.mean(waveform.astype(np.float64) ** 2)


def decibels(ratio):
    return 10 * np.log10(ratio)


def tone(frequency, seconds=1.0):
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Folders of everyday sounds and rooms, none of them real."""
    folder = tmp_path_factory.mktemp("sounds")
    for name in ("noise", "rooms"):
        (folder / name).mkdir()
    for number in range(3):
        noise = np.cumsum(rng(number).standard_normal(30_000))
        soundfile.write(folder / "noise" / f"{number}.wav", noise / 1000, SAMPLE_RATE)
        tail = rng(number).standard_normal(4000) * np.exp(-np.arange(4000) / 800) * 0.1
        tail[20] = 0.9
        soundfile.write(folder / "rooms" / f"{number}.wav", tail, SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def change(sounds):
    """Apply a condition by name."""
    voices = [speechlike(1.5, seed=seed) for seed in range(10, 18)]
    table = conditions.table(sounds / "noise", sounds / "rooms", voices)
    return lambda name, waveform, seed=0: table[name].change(waveform, rng(seed))


@pytest.fixture(scope="module")
def voice():
    waveform = speechlike(1.5)
    waveform[:PAUSE] *= 1e-4
    waveform[-PAUSE:] *= 1e-4
    waveform.setflags(write=False)
    return waveform


@pytest.mark.parametrize("name", NAMES)
def test_result_is_a_new_waveform_that_only_the_seed_decides(name, change, voice):
    kept = voice.copy()
    first, again, other = (change(name, voice, seed) for seed in (1, 1, 2))
    assert first.dtype == np.float32
    assert first.ndim == 1
    assert np.isfinite(first).all()
    assert not np.shares_memory(first, voice)
    np.testing.assert_array_equal(voice, kept)
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (name not in DRAWN)
    assert not np.array_equal(first, voice)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "silence trimmed"])
def test_length(name, change, voice):
    more, factor = LENGTHS.get(name, (0, 1))
    expected = len(voice) * factor + more * SAMPLE_RATE
    assert len(change(name, voice)) == pytest.approx(expected, abs=2)


def test_every_group_has_a_target_and_every_target_a_group():
    groups = {condition.group for condition in conditions.table(None, None, ()).values()}
    assert groups == set(conditions.TARGETS)


@pytest.mark.parametrize("gain", [-12, -6, 6, 12])
def test_gain(gain, change, voice):
    amplified = change(f"gain {gain:+d} dB", voice)
    assert decibels(power(amplified) / power(voice)) == pytest.approx(gain, abs=1e-3)


def test_overdrive_clips_the_loud_and_leaves_the_quiet_whole(change):
    quiet, loud = tone(440) / 3, tone(440) * 3
    name = "gain +12 dB into full scale"
    np.testing.assert_array_equal(change(name, quiet), change("gain +12 dB", quiet))
    clipped = change(name, loud)
    assert np.abs(clipped).max() == 1
    assert np.mean(np.abs(clipped) == 1) > 0.5


@pytest.mark.parametrize(("name", "share"), [("0.3 %", 0.003), ("5 %", 0.05)])
def test_clipping_stops_a_share_of_the_samples_and_no_others(name, share, change, voice):
    clipped = change(f"clipped, {name} of samples", voice)
    limit = np.abs(clipped).max()
    changed = clipped != voice
    assert np.mean(changed) == pytest.approx(share, rel=0.02)
    assert (np.abs(voice[changed]) > limit).all()
    assert (np.abs(clipped[changed]) == limit).all()


def test_polarity_and_offset(change, voice):
    np.testing.assert_array_equal(change("polarity inverted", voice), -voice)
    np.testing.assert_allclose(change("DC offset 0.01", voice) - voice, 0.01, atol=1e-7)


def test_eight_bits_are_255_steps_up_to_the_loudest_sample(change, voice):
    for waveform in (voice, voice / 50):
        rounded = change("8 bits per sample", waveform)
        step = np.abs(waveform).max() / 127
        assert np.abs(rounded - waveform).max() == pytest.approx(step / 2, rel=0.01)
        np.testing.assert_allclose(rounded / step, np.round(rounded / step), atol=1e-3)
    silence = np.zeros(1000, np.float32)
    np.testing.assert_array_equal(change("8 bits per sample", silence), silence)


@pytest.mark.parametrize("snr", [20, 10])
@pytest.mark.parametrize("sound", ["white noise", "everyday sound", "babble"])
def test_noise_has_the_ratio_of_its_name(sound, snr, change, voice):
    added = change(f"{sound}, {snr} dB", voice) - voice
    assert decibels(power(voice) / power(added)) == pytest.approx(snr, abs=0.05)


def test_babble_is_of_several_voices_equally_loud():
    tones = [tone(200 * (number + 1)) * 0.5**number for number in range(8)]
    mixed = conditions.babble(tone(5000), rng(), voices=tones, snr_db=10)
    spectrum = np.abs(np.fft.rfft(mixed))[np.arange(200, 1601, 200)]
    heard = spectrum > spectrum.max() / 2
    assert heard.sum() == conditions.TALKERS
    assert spectrum[heard].min() > 0.9 * spectrum.max()


@pytest.mark.parametrize(
    ("name", "kept", "removed"),
    [
        ("16 kHz and back", (100, 1000, 7000), (9000,)),
        ("8 kHz and back", (100, 1000, 3500), (4500, 9000)),
        ("high-pass 150 Hz", (400, 1000, 9000), (50,)),
        ("low-pass 4 kHz", (100, 1000, 3000), (9000,)),
        ("telephone band", (500, 1000, 2500), (50, 9000)),
        ("telephone: band, 8 kHz, mu-law", (500, 1000, 2500), (50, 4500, 9000)),
        ("MP3, 64 kbit/s", (200, 1000, 8000), ()),
        ("MP3, 32 kbit/s", (200, 1000, 7000), ()),
        ("Opus, 24 kbit/s", (200, 1000, 7000), ()),
        ("Opus, 12 kbit/s", (200, 1000, 3000), ()),
    ],
)
def test_band(name, kept, removed, change):
    middle = slice(SAMPLE_RATE // 4, -SAMPLE_RATE // 4)
    for frequency in (*kept, *removed):
        before = tone(frequency)
        left = power(change(name, before)[middle]) / power(before[middle])
        assert 0.6 < left < 1.6 if frequency in kept else left < 0.003


def test_telephone_codes_with_the_noise_of_mu_law(change, voice):
    band = BandLimit()(voice, rng())
    uncoded = conditions.resampled(band, rng(), rate=8000)
    coded = change("telephone: band, 8 kHz, mu-law", voice)
    noise = (coded - uncoded)[1000:-1000]
    assert 30 < decibels(power(uncoded) / power(noise)) < 45


@pytest.mark.parametrize(
    ("name", "bit_rate"),
    [("MP3, 64", 64), ("MP3, 32", 32), ("Opus, 24", 24), ("Opus, 12", 12)],
)
def test_coding_has_the_bit_rate_of_its_name_and_keeps_time(name, bit_rate, change, monkeypatch):
    load, sizes = audio.load, []
    monkeypatch.setattr("audio.load", lambda file: sizes.append(len(file)) or load(file))
    waveform = speechlike(4)
    coded = change(f"{name} kbit/s", waveform)
    assert sizes[0] * 8 / 4 / 1000 == pytest.approx(bit_rate, rel=0.25)
    waveform = np.pad(waveform, 50)
    length = len(waveform) - 100
    likeness = [np.dot(waveform[lag : lag + length], coded[:length]) for lag in range(101)]
    assert abs(int(np.argmax(likeness)) - 50) <= 3


def test_silence_is_added_and_trimmed(change, voice):
    padded = change("0.5 s of silence around", voice)
    edge = SAMPLE_RATE // 2
    assert not padded[:edge].any()
    assert not padded[-edge:].any()
    np.testing.assert_array_equal(padded[edge:-edge], voice)
    for waveform, pause in ((voice, PAUSE), (padded, PAUSE + edge)):
        trimmed = change("silence trimmed", waveform)
        assert len(waveform) - len(trimmed) == pytest.approx(2 * pause, abs=3000)
        assert power(trimmed) * len(trimmed) == pytest.approx(power(voice) * len(voice), rel=1e-3)


def test_ends_are_cut_and_time_is_shifted(change, voice):
    np.testing.assert_array_equal(change("0.1 s cut off both ends", voice), voice[2205:-2205])
    np.testing.assert_array_equal(change("later by half a hop", voice)[256:], voice[:-256])


@pytest.mark.parametrize(("name", "hertz"), [("2 % slower", 980), ("2 % faster", 1020)])
def test_speed_moves_the_pitch(name, hertz, change):
    waveform = change(name, tone(1000, seconds=2))
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    assert spectrum.argmax() * SAMPLE_RATE / len(waveform) == pytest.approx(hertz, abs=1)


def answers(*said):
    """Return a table of answers, each 'emotion probability', the rest shared by the others."""
    rows = []
    for emotion, probability in (answer.split() for answer in said):
        others = dict.fromkeys(EMOTIONS, (1 - float(probability)) / 7)
        rows.append({"emotion": emotion, **others, emotion: float(probability)})
    table = pd.DataFrame(rows)
    return table.assign(
        uncertain=table[[*EMOTIONS]].max(axis=1) < 0.5,
        label=["angry", "angry", "sad", "calm"],
        speaker=["RAVDESS-01", "RAVDESS-02", "RAVDESS-03", "RAVDESS-04"],
    )


def test_measures_of_a_condition():
    before = answers("angry 0.9", "sad 0.4", "sad 0.8", "calm 0.6")
    after = answers("angry 0.5", "angry 0.3", "sad 0.8", "sad 0.65")
    measured = robustness.compare(before, after)
    lost = [0.4, 0.4 - 0.7 / 7, 0.0, 0.6 - 0.35 / 7]
    assert measured == pytest.approx(
        {
            "unchanged": 2 / 4,
            "unchanged_certain": 2 / 3,
            "unchanged_women": 0 / 2,
            "unchanged_men": 2 / 2,
            "probability_change": -np.mean(lost),
            "accuracy": 3 / 4,
            "uar": 2 / 3,
        }
    )


def test_no_answer_is_a_changed_answer():
    before = answers("angry 0.9", "sad 0.4", "sad 0.8", "calm 0.6")
    after = before.assign(emotion=["angry", robustness.NOTHING, "sad", "calm"])
    assert robustness.compare(before, after)["unchanged"] == 3 / 4
    assert robustness.compare(after, before)["unchanged"] == 3 / 4
    assert robustness.compare(after, after)["unchanged"] == 1


class Loudness:
    """A classifier that hears anger in loud waveforms; it counts what it is asked."""

    asked = 0

    def classify_waveform(self, waveform):
        self.asked += 1
        loud = min(1.0, 20 * float(np.sqrt(power(waveform))))
        probabilities = dict.fromkeys(EMOTIONS, (1 - loud) / 7) | {"angry": loud}
        return Prediction(max(EMOTIONS, key=probabilities.get), loud, loud < 0.5, probabilities)


def test_networks_are_asked_about_their_own_test_clips_and_once_only(sounds, tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.wav" for number in range(20)]
    for number, path in enumerate(paths):
        soundfile.write(path, speechlike(0.6, seed=number), SAMPLE_RATE)
    table = pd.DataFrame(
        {
            "path": [str(path) for path in paths],
            "emotion": "angry",
            "speaker": ["RAVDESS-01"] * 10 + ["RAVDESS-02"] * 10,
            "channel": "speech",
        }
    )
    classifier = Loudness()
    weights = tmp_path / "member.npz"
    weights.write_bytes(b"weights")
    tests = np.array_split(np.arange(20), 2)
    folds = [
        SimpleNamespace(
            result=SimpleNamespace(fold=str(number), seed=0, test=test),
            ensemble=SimpleNamespace(
                tasks=[SimpleNamespace(file=weights)],
                temperature=1.0,
                classifier=lambda: classifier,
            ),
        )
        for number, test in enumerate(tests)
    ]
    monkeypatch.setattr(robustness.emobox, "CACHE", tmp_path)
    first = robustness.ask(table, folds, sounds, clips=2)
    assert classifier.asked == len(first) == 2 * 2 * (1 + len(NAMES))
    for fold, test in enumerate(tests):
        asked = set(first["clip"][first.fold == str(fold)].astype(int))
        assert len(asked) == 2
        assert asked <= set(test)
    as_recorded = first[first.condition == robustness.CLEAN]
    for _, part in first.groupby("condition"):
        assert list(part["clip"]) == list(as_recorded["clip"])

    next((tmp_path / "robustness").rglob("*.parquet")).unlink()
    again = robustness.ask(table, folds, sounds, clips=2)
    assert classifier.asked == len(first) + 2
    pd.testing.assert_frame_equal(first, again)
    others = Path(shutil.copytree(sounds, tmp_path / "others"))
    next((others / "noise").iterdir()).write_bytes((others / "rooms" / "0.wav").read_bytes())
    robustness.ask(table, folds, others, clips=2)
    assert classifier.asked == 2 * len(first) + 2

    figures = robustness.figures(first)
    unchanged = {row["name"]: row["unchanged"] for row in figures["conditions"]}
    assert list(unchanged) == list(NAMES)
    assert unchanged["polarity inverted"] == 1
    assert figures["groups"]["small"]["worst_unchanged"] == min(
        row["unchanged"] for row in figures["conditions"] if row["group"] == "small"
    )
    assert all(name in robustness.report(figures) for name in NAMES)
