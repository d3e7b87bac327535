import pickle
import random

import librosa.effects  # noqa: F401  (a dependency of it draws a number when first imported)
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import augment
from audio import SAMPLE_RATE, AudioError
from augment import (
    Babble,
    BackgroundNoise,
    BandLimit,
    ColouredNoise,
    Gain,
    Microphone,
    NoiseAtSNR,
    Reverb,
    Room,
    Shift,
    Speed,
    Telephone,
    WhiteNoise,
)

DRAWS_NOTHING = (Shift, BandLimit)


@pytest.fixture(scope="module")
def noises(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noises")
    rng = np.random.default_rng(1)
    for name, length in (("short.wav", 3000), ("long.flac", 60_000)):
        soundfile.write(folder / name, rng.uniform(-0.5, 0.5, length), SAMPLE_RATE)
    (folder / "README.txt").write_text("not a sound")
    return folder


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    rng = np.random.default_rng(2)
    for number in range(2):
        tail = rng.standard_normal(4000) * np.exp(-np.arange(4000) / 800) * 0.1
        tail[50 + number] = 0.9
        soundfile.write(folder / f"{number}.wav", tail, SAMPLE_RATE, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def transforms(noises, rooms):
    return [
        WhiteNoise(),
        Shift(),
        NoiseAtSNR(0, 20),
        BackgroundNoise(noises, 0, 20),
        Gain(-10, 10),
        Speed(0.9, 1.1),
        Room(rooms),
        BandLimit(),
        ColouredNoise(0, 20),
        Reverb(),
        Microphone(),
        Babble(0, 20),
        Telephone(),
    ]


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(frequency=440.0, seconds=1.0):
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def power(waveform):
    return np.mean(waveform.astype(np.float64) ** 2)


def decibels(ratio):
    return 10 * np.log10(ratio)


def spectral_peak(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return spectrum.argmax() * SAMPLE_RATE / len(waveform)


def test_no_transform_is_left_out(transforms):
    public = {
        name for name, value in vars(augment).items() if hasattr(value, "__dataclass_fields__")
    }
    assert public == {type(transform).__name__ for transform in transforms}


def test_all_are_reproducible_and_leave_global_random_state_and_input_alone(transforms):
    waveform = tone()
    kept = waveform.copy()
    waveform.setflags(write=False)
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    for transform in transforms:
        first, again, *others = (transform(waveform, rng(seed)) for seed in (3, 3, 4, 5, 6))
        assert first.dtype == np.float32
        assert first.ndim == 1
        assert not np.shares_memory(first, waveform)
        assert first.flags.writeable
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(waveform, kept)
        differs = any(not np.array_equal(first, other) for other in others)
        assert differs != isinstance(transform, DRAWS_NOTHING)
    assert random.getstate() == python_state
    for before, after in zip(numpy_state, np.random.get_state(), strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(before, after)


@settings(max_examples=40)
@given(
    length=st.one_of(st.integers(1, 3), st.integers(1, 5000)),
    amplitude=st.sampled_from([0, 1e-30, 1e-3, 1, 100]),
    seed=st.integers(0, 2**32),
)
def test_any_waveform_stays_finite_and_keeps_its_length(transforms, length, amplitude, seed):
    waveform = amplitude * rng(seed).standard_normal(length, dtype=np.float32)
    waveform = waveform.astype(np.float32)
    for transform in transforms:
        changed = transform(waveform, rng(seed))
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        if isinstance(transform, Speed):
            assert length / 1.3 - 1 <= len(changed) <= length * 1.3 + 1
            assert len(changed) > 0
        else:
            assert len(changed) == length


def test_transforms_travel_to_worker_processes(transforms):
    for transform in transforms:
        copied = pickle.loads(pickle.dumps(transform))
        np.testing.assert_array_equal(copied(tone(), rng()), transform(tone(), rng()))


def test_silence_stays_silence_but_for_white_noise(transforms):
    for transform in transforms:
        if not isinstance(transform, WhiteNoise):
            assert not transform(np.zeros(5000, np.float32), rng()).any()


def test_white_noise_has_the_originals_amplitude():
    added = WhiteNoise()(tone(), rng()) - tone()
    assert np.std(added) == pytest.approx(0.005, rel=0.03)
    assert np.abs(np.mean(added)) < 2e-4


def test_shift_is_a_quarter_of_a_second_to_the_right():
    waveform = np.zeros(SAMPLE_RATE, np.float32)
    waveform[0], waveform[-1] = 1, 2
    shifted = Shift()(waveform, rng())
    assert list(np.flatnonzero(shifted)) == [5511, 5512]
    assert list(shifted[5511:5513]) == [2, 1]


@pytest.mark.parametrize("snr", [-5, 0, 10, 30])
def test_noise_has_the_ratio_asked_for(snr, noises):
    waveform = tone(seconds=3)
    for transform in (NoiseAtSNR(snr, snr), BackgroundNoise(noises, snr, snr)):
        added = transform(waveform, rng(snr + 10)) - waveform
        assert decibels(power(waveform) / power(added)) == pytest.approx(snr, abs=0.01)


def test_ratios_are_drawn_from_the_whole_range():
    waveform = tone()
    generator = rng()
    drawn = [
        decibels(power(waveform) / power(NoiseAtSNR(5, 15)(waveform, generator) - waveform))
        for _ in range(100)
    ]
    assert 4.99 < min(drawn) < 6
    assert 14 < max(drawn) < 15.01


def test_background_goes_round_from_a_random_place(tmp_path):
    ramp = np.arange(1, 101, dtype=np.float32) / 100
    soundfile.write(tmp_path / "ramp.wav", ramp, SAMPLE_RATE, subtype="FLOAT")
    waveform = np.ones(350, np.float32)
    starts = set()
    for seed in range(20):
        added = BackgroundNoise(tmp_path, 0, 0)(waveform, rng(seed)) - waveform
        np.testing.assert_allclose(added[:250], added[100:], atol=1e-6)
        starts.add(round(float(added[0] / added.max()) * 100))
    assert len(starts) > 10


def test_noise_files_are_decoded_once(noises, monkeypatch):
    BackgroundNoise(noises, 0, 0)(tone(), rng())
    monkeypatch.setattr("audio.load", lambda path: pytest.fail(f"decoded {path} again"))
    BackgroundNoise(noises, 5, 9)(tone(), rng())


def test_a_folder_without_sound_is_an_error(tmp_path):
    for transform in (BackgroundNoise(tmp_path / "nowhere", 0, 0), Room(tmp_path)):
        with pytest.raises(AudioError, match="holds no sound files"):
            transform(tone(), rng())


def test_a_silent_noise_adds_nothing_and_a_silent_room_is_an_error(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(100), SAMPLE_RATE)
    np.testing.assert_array_equal(BackgroundNoise(tmp_path, 0, 0)(tone(), rng()), tone())
    with pytest.raises(AudioError, match="silent impulse response"):
        Room(tmp_path)(tone(), rng())


def test_gain_is_in_decibels():
    assert decibels(power(Gain(6, 6)(tone(), rng())) / power(tone())) == pytest.approx(6, abs=1e-3)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_changes_length_and_pitch(factor):
    changed = Speed(factor, factor)(tone(440, seconds=2), rng())
    assert len(changed) == pytest.approx(2 * SAMPLE_RATE / factor, abs=1)
    assert spectral_peak(changed) == pytest.approx(440 * factor, abs=2)


def test_room_aligns_the_direct_path_and_has_energy_one(tmp_path):
    response = np.zeros(500, np.float32)
    response[100], response[150] = 0.8, -0.6  # energy 1 but for the early sample
    response[99] = 0.001
    soundfile.write(tmp_path / "echo.wav", 0.5 * response, SAMPLE_RATE, subtype="FLOAT")
    click = np.zeros(1000, np.float32)
    click[300] = 1
    wet = Room(tmp_path)(click, rng())
    assert wet[300] == pytest.approx(0.8, abs=1e-4)
    assert wet[350] == pytest.approx(-0.6, abs=1e-4)
    assert np.sum(wet.astype(np.float64) ** 2) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("frequency", "least", "most"), [(50, -200, -40), (1000, -0.5, 0.5), (8000, -200, -30)]
)
def test_telephone_band(frequency, least, most):
    waveform = tone(frequency, seconds=2)
    passed = BandLimit()(waveform, rng())[SAMPLE_RATE:]
    assert least < decibels(power(passed) / power(waveform[SAMPLE_RATE:])) < most


def test_on_real_noises_and_rooms(shared_data):
    waveform = tone(seconds=3)
    for transform in (
        BackgroundNoise(shared_data / "noise", 0, 20),
        Room(shared_data / "rooms"),
    ):
        for seed in range(5):
            changed = transform(waveform, rng(seed))
            assert len(changed) == len(waveform)
            assert np.isfinite(changed).all()
            assert power(changed) > 0


@given(snr=st.floats(-10, 40), seed=st.integers(0, 1000))
def test_coloured_noise_has_its_level_and_falls_with_frequency(snr, seed):
    clean = tone()
    noise = ColouredNoise(snr, snr)(clean, rng(seed)) - clean
    assert decibels(power(clean) / power(noise)) == pytest.approx(snr, abs=0.2)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    lows, highs = spectrum[100:1000].mean(), spectrum[5000:].mean()
    assert decibels(lows / highs) > -1


@given(seed=st.integers(0, 1000))
def test_reverb_keeps_the_length_and_leaves_a_tail(seed):
    clap = np.zeros(SAMPLE_RATE, np.float32)
    clap[1000] = 1
    wet = Reverb()(clap, rng(seed))
    assert len(wet) == len(clap)
    assert np.abs(wet[:1000]).max() < 1e-6
    direct, tail = wet[1000] ** 2, power(wet[1001:]) * len(wet[1001:])
    assert -6.1 < decibels(direct / tail) < 12.1
    assert direct + tail == pytest.approx(1, rel=0.01)
    assert power(wet[-1000:]) < power(wet[1100:2100])


def test_a_microphone_cuts_lows_and_highs_and_leaves_the_middle():
    for seed in range(20):
        passed = {f: power(Microphone()(tone(f), rng(seed))) / power(tone(f)) for f in (20, 1000)}
        assert passed[20] < 0.1
        assert passed[1000] > 0.7
        assert power(Microphone()(tone(10_800), rng(seed))) < 0.5 * power(tone(10_800))


def test_babble_is_made_of_the_clip_alone_and_has_its_level():
    clip = np.pad(tone(300.0), 5000)
    for seed in range(5):
        talk = Babble(3, 3)(clip, rng(seed)) - clip
        assert decibels(power(clip) / power(talk)) == pytest.approx(3, abs=0.01)
        assert 300 * 0.74 < spectral_peak(talk) < 300 * 1.34


@pytest.mark.parametrize("hertz", [1000.0, 3500.0])
def test_a_telephone_keeps_the_voice_and_nothing_above_8_khz(hertz):
    for seed in range(20):
        heard = Telephone()(tone(hertz), rng(seed))
        assert power(heard) == pytest.approx(power(tone(hertz)), rel=0.1)
        assert spectral_peak(heard) == pytest.approx(hertz, abs=2)
        assert power(Telephone()(tone(9500.0), rng(seed))) < 0.01 * power(tone(9500.0))


def test_companding_rounds_loud_samples_coarsely_and_quiet_ones_finely():
    samples = np.linspace(-1, 1, 20_001)
    error = np.abs(augment._mu_law(samples) - samples)
    assert error.max() < 0.025
    assert error[np.abs(samples) < 0.01].max() < 0.001
    assert len(np.unique(augment._mu_law(samples))) == 255
