"""Seeded changes of a waveform, for more variety in training.

Each transform is called with a waveform (samples,) float32 at `audio.SAMPLE_RATE` and a numpy
Generator, from which alone it draws, and returns a new float32 array. A range is drawn from
uniformly, once per call. The two of the original system are `WhiteNoise()` and `Shift()`.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.fft

import audio
from audio import SAMPLE_RATE, AudioError


@dataclass(frozen=True)
class WhiteNoise:
    """Add Gaussian noise of a standard deviation of `amplitude`, full scale being 1."""

    amplitude: float = 0.005

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(len(waveform), dtype=np.float32)
        return waveform + np.float32(self.amplitude) * noise


@dataclass(frozen=True)
class Shift:
    """Shift to the right by `seconds`; what leaves at the end comes in at the beginning."""

    seconds: float = 0.25

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.roll(waveform, round(self.seconds * SAMPLE_RATE))


@dataclass(frozen=True)
class NoiseAtSNR:
    """Add white noise at a signal-to-noise ratio in dB; silence stays silence."""

    low_db: float
    high_db: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(len(waveform), dtype=np.float32)
        return _mix(waveform, noise, rng.uniform(self.low_db, self.high_db))


@dataclass(frozen=True)
class BackgroundNoise:
    """Add a sound from `folder` at a signal-to-noise ratio in dB; silence stays silence.

    The sound starts at a random place and goes round until the waveform ends.
    """

    folder: str | os.PathLike
    low_db: float
    high_db: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sounds = _load_folder(os.fspath(self.folder))
        sound = sounds[rng.integers(len(sounds))]
        start = rng.integers(len(sound))
        noise = np.resize(np.roll(sound, -start), len(waveform))
        return _mix(waveform, noise, rng.uniform(self.low_db, self.high_db))


@dataclass(frozen=True)
class ColouredNoise:
    """Add noise between white and brown, of a wavering level, at a signal-to-noise ratio in dB.

    Its power falls with frequency as 1 / f^a, a from 0 to 2, and its level wavers by up to 6 dB.
    """

    low_db: float
    high_db: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        length = scipy.fft.next_fast_len(len(waveform), real=True)
        spectrum = scipy.fft.rfft(rng.standard_normal(length, dtype=np.float32))
        frequencies = np.maximum(scipy.fft.rfftfreq(length, 1 / SAMPLE_RATE), 30.0)
        spectrum *= (frequencies ** -rng.uniform(0.0, 1.0)).astype(np.float32)
        noise = scipy.fft.irfft(spectrum, length)[: len(waveform)]
        knots = 10 ** (rng.uniform(-6.0, 6.0, rng.integers(3, 9)) / 20)
        place = np.linspace(0, len(knots) - 1, len(waveform))
        level = np.interp(place, np.arange(len(knots)), knots).astype(np.float32)
        return _mix(waveform, noise * level, rng.uniform(self.low_db, self.high_db))


@dataclass(frozen=True)
class Babble:
    """Add talk at a signal-to-noise ratio in dB, made of nothing but the waveform itself.

    Five voices: the waveform at other speeds, each from a random place, half of them backwards.
    Other people's clips would do better, but an augmented clip must hold no voice but its own.
    """

    low_db: float
    high_db: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        talk = np.zeros_like(waveform)
        for talker in range(5):
            voice = Speed(0.75, 1.33)(waveform, rng)
            voice = np.resize(np.roll(voice, rng.integers(len(voice))), len(waveform))
            talk += voice[:: -1 if talker % 2 else 1]
        return _mix(waveform, talk, rng.uniform(self.low_db, self.high_db))


@dataclass(frozen=True)
class Gain:
    """Amplify by a number of dB (attenuate where it is negative), without clipping."""

    low_db: float
    high_db: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return waveform * np.float32(10 ** (rng.uniform(self.low_db, self.high_db) / 20))


@dataclass(frozen=True)
class Speed:
    """Play faster by a factor (slower below 1), pitch and tempo together, by resampling."""

    low: float
    high: float

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import soxr

        factor = rng.uniform(self.low, self.high)
        played = soxr.resample(waveform, SAMPLE_RATE * factor, SAMPLE_RATE, quality="HQ")
        return played if len(played) else waveform.copy()


@dataclass(frozen=True)
class Room:
    """Convolve with an impulse response from `folder`, scaled to energy 1.

    The strongest sample of the response, taken for the direct path, is moved to time 0, and
    the reverberation is cut off where the waveform ends.
    """

    folder: str | os.PathLike

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.signal import oaconvolve

        responses = _load_folder(os.fspath(self.folder))
        response = responses[rng.integers(len(responses))]
        energy = np.sum(response.astype(np.float64) ** 2)
        if not energy:
            raise AudioError(f"{self.folder}: holds a silent impulse response; take it out")
        direct = np.argmax(np.abs(response))
        wet = oaconvolve(waveform, response / np.float32(np.sqrt(energy)))
        return wet[direct : direct + len(waveform)].astype(np.float32)


@dataclass(frozen=True)
class Reverb:
    """Convolve with the impulse response of a room that does not exist.

    Noise that dies away exponentially (Polack's model), by 60 dB in 0.1 to 1.2 s, with between 6 dB
    more and 12 dB less energy than the direct sound. The waveform keeps its length and, about, its
    energy.
    """

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.signal import oaconvolve

        decay = rng.uniform(0.1, 1.2)
        seconds = np.arange(round(decay * SAMPLE_RATE)) / SAMPLE_RATE
        response = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / decay)
        response[seconds < 0.002] = 0  # before the first wall answers
        direct = 10 ** (rng.uniform(-6.0, 12.0) / 20)
        response[0] = direct * np.linalg.norm(response)
        response /= np.linalg.norm(response)
        return oaconvolve(waveform, response.astype(np.float32))[: len(waveform)]


@dataclass(frozen=True)
class Microphone:
    """Cut off the lows below 40 to 400 Hz and the highs above 3 to 9 kHz, as recorders do."""

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return BandLimit(rng.uniform(40, 400), rng.uniform(3000, 9000))(waveform, rng)


@dataclass(frozen=True)
class BandLimit:
    """Keep the band from `low_hz` to `high_hz`, by default the telephone's (Butterworth filter)."""

    low_hz: float = 300
    high_hz: float = 3400

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.signal import butter, sosfilt

        filters = butter(4, [self.low_hz, self.high_hz], "bandpass", fs=SAMPLE_RATE, output="sos")
        return sosfilt(filters, waveform).astype(np.float32)


@dataclass(frozen=True)
class Telephone:
    """Keep what an old recorder keeps: nothing above 4, 5.5 or 8 kHz; often, a call's 8 bits.

    Half of the recordings at 8 kHz are companded by the mu-law of ITU-T G.711, and half of those
    lose the lows below 300 Hz as well.
    """

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import soxr
        from scipy.signal import butter, sosfilt

        rate = rng.choice([8000, 8000, 8000, 11025, 16000])
        kept = soxr.resample(waveform, SAMPLE_RATE, rate)
        peak = np.abs(kept).max(initial=0.0)
        if rate == 8000 and peak > 0 and rng.random() < 0.5:
            if rng.random() < 0.5:
                highpass = butter(4, 300, "highpass", fs=rate, output="sos")
                kept = sosfilt(highpass, kept).astype(np.float32)
            level = peak / rng.uniform(0.2, 1.0)
            kept = level * _mu_law(np.clip(kept / level, -1, 1))
        out = soxr.resample(kept, rate, SAMPLE_RATE)[: len(waveform)]
        return np.pad(out, (0, len(waveform) - len(out))).astype(np.float32)


def _mu_law(samples: np.ndarray) -> np.ndarray:
    """Round samples in [-1, 1] to the 255 steps of the mu-law."""
    steps = np.round(127 * np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256))
    return np.sign(steps) * np.expm1(np.abs(steps) / 127 * np.log(256)) / 255


def _mix(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    noise_power = np.mean(noise**2, dtype=np.float64)
    if not noise_power:
        return waveform.copy()
    power = np.mean(waveform**2, dtype=np.float64) / 10 ** (snr_db / 10)
    return waveform + np.float32(np.sqrt(power / noise_power)) * noise


@cache
def _load_folder(folder: str) -> tuple[np.ndarray, ...]:
    """Every sound below `folder` in the order of names, decoded once per process, read-only."""
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in audio.EXTENSIONS)
    if not files:
        raise AudioError(f"{folder}: holds no sound files, expected at least one; name another")
    sounds = tuple(audio.load(path) for path in files)
    for sound in sounds:
        sound.setflags(write=False)
    return sounds
