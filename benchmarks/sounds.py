"""Synthetic sounds without a voice in them, of many kinds, for `benchmarks/gate.py`.

Each is a function of the times (samples,) in seconds and a generator, and returns (samples,) of any
level.
"""

# ruff: noqa: D103  the name of a sound says what it is

from collections.abc import Callable

import numpy as np
from scipy import signal

from audio import SAMPLE_RATE

Kind = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Note = Callable[[float, float], np.ndarray]  # pitch in Hz, length in seconds


def digital_silence(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.zeros(len(time))


def dither(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-1, 2, len(time)) / 2**15


def hiss(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 10 ** rng.uniform(-4, -3) * coloured(len(time), rng.uniform(-1, 0), rng)


def white_noise(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(len(time))


def pink_noise(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return coloured(len(time), -1, rng)


def brown_noise(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return coloured(len(time), -2, rng)


def band_noise(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low = between(rng, 60, 4000)
    return band(len(time), low, low * rng.uniform(1.2, 6), rng)


def wind(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    howl = band(len(time), 300, 900, rng) * wander(time, 1, rng) ** 3
    return coloured(len(time), -1.5, rng) * wander(time, rng.uniform(0.5, 2), rng) ** 2 + howl / 10


def noise_bursts(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bursts = np.clip(sine(rng.uniform(2, 8), time), 0, 1)
    return coloured(len(time), rng.uniform(-1.5, 0), rng) * bursts


def hum(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mains = harmonics(rng.choice([50, 60, 100, 120]), rng.random(12) / np.arange(1, 13), time)
    return mains + 0.02 * rng.standard_normal(len(time))


def pure_tone(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return sine(between(rng, 60, 8000), time)


def chord(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    notes = rng.uniform(80, 600) * rng.choice([1, 1.2, 1.25, 1.5, 1.782, 2], 3, replace=False)
    return sum(harmonics(note, rng.random(4) / np.arange(1, 5), time) for note in notes)


def sweep(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    start, end = between(rng, 60, 6000, 2)
    return signal.chirp(time, start, time[-1], end, "logarithmic")


def am_tone(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return sine(between(rng, 100, 2000), time) * (1 + sine(rng.uniform(1, 12), time))


def fm_tone(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wobble = rng.uniform(0.02, 0.3) * sine(rng.uniform(0.5, 8), time)
    return sine(between(rng, 150, 2000) * (1 + wobble), time)


def buzzer(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sign(sine(rng.uniform(80, 500), time)) * (wander(time, 4, rng) > 0.4)


def beeps(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    on = time * rng.uniform(1, 5) % 1 < rng.uniform(0.1, 0.5)
    return sine(rng.uniform(400, 3000), time) * on


def dtmf(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    def key() -> np.ndarray:
        pressed = seconds(rng.uniform(0.06, 0.25))
        low, high = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
        return sine(low, pressed) + sine(high, pressed)

    return repeat(key, lambda: rng.uniform(0.3, 0.5), time)


def siren(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, rate = rng.uniform(350, 700), rng.uniform(0.2, 4)
    rise = rng.choice([signal.sawtooth(2 * np.pi * rate * time, 0.5), np.sign(sine(rate, time))])
    pitch = low * (1 + rng.uniform(0.15, 0.7) * (1 + rise))
    return harmonics(pitch, np.array([1, 0.5, 0.3, 0.2, 0.1]), time)


def telephone_bell(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch = rng.uniform(400, 1200)
    return (sine(pitch, time) + sine(1.25 * pitch, time)) * (sine(20, time) > 0) * (time % 2 < 1)


def clicks(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    impulses = np.zeros(len(time))
    impulses[rng.integers(0, len(time), rng.integers(1, 400))] = 1
    return impulses


def metronome(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch, beat, ring = rng.uniform(600, 3000), 60 / rng.uniform(40, 220), seconds(0.05)
    return repeat(lambda: sine(pitch, ring) * np.exp(-120 * ring), lambda: beat, time)


def knocks(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch, ring = rng.uniform(80, 600), seconds(0.3)

    def knock() -> np.ndarray:
        wood = sine(pitch, ring) + 0.4 * sine(2.7 * pitch, ring)
        return (wood + 0.3 * rng.standard_normal(len(ring))) * np.exp(-rng.uniform(20, 60) * ring)

    return repeat(knock, lambda: rng.uniform(0.12, 0.5), time)


def crackle(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ring, rate = seconds(0.02), rng.uniform(5, 60)

    def crack() -> np.ndarray:
        fall = np.exp(-rng.uniform(200, 900) * ring)
        return rng.exponential() * rng.standard_normal(len(ring)) * fall

    fire = 0.01 * coloured(len(time), -1, rng)
    return repeat(crack, lambda: rng.exponential(1 / rate), time) + fire


def drops(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ring = seconds(0.15)

    def drop() -> np.ndarray:
        rising = rng.uniform(500, 2500) * (1 + 2 * ring)
        return sine(rising, ring) * np.exp(-rng.uniform(25, 80) * ring)

    return repeat(drop, lambda: rng.exponential(0.25), time)


def footsteps(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ring, pace = seconds(0.2), rng.uniform(0.35, 0.8)

    def step() -> np.ndarray:
        thud = coloured(len(ring), -1.5, rng) + 0.3 * rng.standard_normal(len(ring))
        return thud * np.exp(-rng.uniform(25, 60) * ring)

    return repeat(step, lambda: pace, time)


def engine(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rate = rng.uniform(18, 90) * (1 + rng.uniform(0, 0.8) * wander(time, 1, rng))
    motor = harmonics(rate, rng.random(40) / np.arange(1, 41) ** rng.uniform(0.3, 1), time)
    exhaust = coloured(len(time), -1, rng) * (1 + sine(rate, time))
    return motor + rng.uniform(0.1, 0.6) * motor.std() * exhaust


def helicopter(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    blades = np.exp(-6 * (time * rng.uniform(8, 25) % 1))
    turbine = harmonics(rng.uniform(150, 400), np.array([1, 0.4, 0.2]), time)
    return coloured(len(time), -1.5, rng) * blades + 0.3 * turbine


def chainsaw(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rate = rng.uniform(90, 250) * (0.7 + 0.6 * wander(time, 2, rng))
    teeth = harmonics(rate, 1 / np.arange(1, 30), time)
    return teeth + 0.5 * rng.standard_normal(len(time))


def vacuum_cleaner(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    motor = harmonics(rng.uniform(150, 500), np.array([1, 0.5, 0.4, 0.2, 0.2]), time)
    return coloured(len(time), -0.7, rng) + rng.uniform(0.2, 1) * motor


def drill(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rate = rng.uniform(60, 150) * (1 + 0.1 * wander(time, 5, rng))
    on = wander(time, 1.5, rng) > 0.35
    return np.sign(sine(rate, time)) * on + 0.1 * rng.standard_normal(len(time))


def plucked(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strings after Karplus and Strong: a burst of noise goes round a delay with losses."""

    def note(pitch: float, length: float) -> np.ndarray:
        period = round(SAMPLE_RATE / pitch)
        burst = np.zeros(len(seconds(length + 1)))
        burst[:period] = rng.uniform(-1, 1, period)
        return signal.lfilter([1], [1, *[0] * (period - 1), -0.498, -0.498], burst)

    return melody(note, 110, 500, time, rng)


def piano(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    levels = rng.random(10) / np.arange(1, 11)

    def note(pitch: float, length: float) -> np.ndarray:
        ring = seconds(length + 0.6)
        return sum(
            level * sine(pitch * k * np.sqrt(1 + 3e-4 * k * k), ring) * np.exp(-ring * (2 + k))
            for k, level in enumerate(levels, 1)
        )

    return melody(note, 110, 500, time, rng)


def flute(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    vibrato, depth = rng.uniform(4, 7), rng.uniform(0, 0.02)

    def note(pitch: float, length: float) -> np.ndarray:
        ring = seconds(length)
        tone = harmonics(pitch * (1 + depth * sine(vibrato, ring)), np.array([1, 0.3, 0.1]), ring)
        return swell(ring, 0.06) * (tone + 0.05 * rng.standard_normal(len(ring)))

    return melody(note, 260, 900, time, rng)


def strings(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    vibrato, depth = rng.uniform(4, 7), rng.uniform(0.005, 0.02)
    levels = (0.4 + rng.random(24)) / np.arange(1, 25)

    def note(pitch: float, length: float) -> np.ndarray:
        ring = seconds(length)
        wavering = pitch * (1 + depth * sine(vibrato, ring))
        return swell(ring, 0.08) * harmonics(wavering, levels, ring)

    return melody(note, 110, 500, time, rng)


def brass(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    def note(pitch: float, length: float) -> np.ndarray:
        ring = seconds(length)
        sliding = pitch * (1 - 0.03 * np.exp(-40 * ring))
        louder = swell(ring, 0.05)  # and brighter
        return sum(louder ** (1 + k / 4) * sine(k * sliding, ring) / k**0.6 for k in range(1, 20))

    return melody(note, 90, 350, time, rng)


def organ(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    levels = rng.random(8)

    def note(pitch: float, length: float) -> np.ndarray:
        ring = seconds(length)
        pipes = (harmonics(pitch * ratio, levels, ring) for ratio in (1, 1.26, 1.498))
        return swell(ring, 0.02) * sum(pipes)

    return melody(note, 100, 300, time, rng)


def bells(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ratios, decays = (0.56, 0.92, 1.19, 1.7, 2, 2.74, 3.76), (1, 1.5, 2, 3, 2, 4, 6)

    def note(pitch: float, length: float) -> np.ndarray:
        ring = seconds(length + 1.5)
        partials = zip(ratios, decays, strict=True)
        return sum(sine(pitch * ratio, ring) * np.exp(-decay * ring) for ratio, decay in partials)

    return melody(note, 300, 1200, time, rng)


def theremin(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pitch = 200 * 2 ** (2 * wander(time, rng.uniform(1, 3), rng)) * (1 + 0.01 * sine(6, time))
    return harmonics(pitch, np.array([1, 0.4, 0.2, 0.1]), time) * (0.3 + wander(time, 2, rng))


def drums(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ring, beat = seconds(0.35), 60 / rng.uniform(70, 180)

    def kick() -> np.ndarray:
        return 1.5 * sine(50 + 150 * np.exp(-30 * ring), ring) * np.exp(-12 * ring)

    def snare() -> np.ndarray:
        return (rng.standard_normal(len(ring)) + sine(190, ring)) * np.exp(-22 * ring)

    def hat() -> np.ndarray:
        return np.diff(rng.standard_normal(len(ring) + 1)) * np.exp(-60 * ring) / 3

    after_the_beat = np.roll(repeat(snare, lambda: 2 * beat, time), round(beat * SAMPLE_RATE))
    kicks, hats = repeat(kick, lambda: 2 * beat, time), repeat(hat, lambda: beat / 2, time)
    return kicks + after_the_beat + hats


def band_of_three(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    players = drums, rng.choice([plucked, piano, organ]), rng.choice([flute, strings, brass])
    parts = [player(time, rng) for player in players]
    return sum(part / part.std() for part in parts)


def birds(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    def chirp() -> np.ndarray:
        ring = seconds(rng.uniform(0.05, 0.25))
        gliding = rng.uniform(1800, 6000) * np.linspace(1, rng.uniform(0.6, 1.5), len(ring))
        trill = 1 + 0.1 * sine(rng.uniform(10, 40), ring)
        return sine(gliding * trill, ring) * np.hanning(len(ring))

    return repeat(chirp, lambda: rng.exponential(0.2), time) + 0.01 * rng.standard_normal(len(time))


def crickets(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chirping = sine(rng.uniform(1, 4), time) > -0.2
    wings = sine(rng.uniform(20, 50), time) > 0
    return sine(rng.uniform(3000, 5500), time) * wings * chirping


def frogs(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ring, pitch, rattle = seconds(0.25), rng.uniform(300, 1200), rng.uniform(20, 60)
    croak = sine(pitch, ring) * (1 + signal.sawtooth(2 * np.pi * rattle * ring))
    return repeat(lambda: croak * np.hanning(len(ring)), lambda: rng.uniform(0.3, 0.9), time)


def barks(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low = rng.uniform(250, 800)

    def bark() -> np.ndarray:
        ring = seconds(rng.uniform(0.1, 0.25))
        throat = harmonics(low * (1 + swell(ring, ring[-1]) / 2), np.arange(1, 15) ** -0.7, ring)
        return (throat / throat.std() + 0.6 * rng.standard_normal(len(ring))) * swell(ring, 0.05)

    return repeat(bark, lambda: rng.uniform(0.2, 1.2), time)


KINDS: dict[str, tuple[Kind, ...]] = {
    "silence": (digital_silence, dither, hiss),
    "noise": (white_noise, pink_noise, brown_noise, band_noise, wind, noise_bursts),
    "tones": (hum, pure_tone, chord, sweep, am_tone, fm_tone),
    "signals": (buzzer, beeps, dtmf, siren, telephone_bell),
    "clicks and knocks": (clicks, metronome, knocks, crackle, drops, footsteps),
    "machines": (engine, helicopter, chainsaw, vacuum_cleaner, drill),
    "music": (
        *(plucked, piano, flute, strings, brass),
        *(organ, bells, theremin, drums, band_of_three),
    ),
    "animals": (birds, crickets, frogs, barks),
}

SCALE = 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)


def melody(
    note: Note, low: float, high: float, time: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Play notes of a major scale, each until the next begins or as long as it rings."""
    root = rng.uniform(low, high)
    lengths: list[float] = []

    def play() -> np.ndarray:
        lengths.append(rng.uniform(0.12, 0.7))
        return note(root * rng.choice(SCALE), lengths[-1])

    return repeat(play, lambda: lengths[-1], time)


def repeat(
    event: Callable[[], np.ndarray], pause: Callable[[], float], time: np.ndarray
) -> np.ndarray:
    """Add events, each beginning a pause in seconds after the one before."""
    sound = np.zeros(len(time))
    start = 0
    while start < len(time):
        one = event()[: len(time) - start]
        sound[start : start + len(one)] += one
        start += 1 + round(pause() * SAMPLE_RATE)
    return sound


def seconds(length: float) -> np.ndarray:
    """Return the times of that many seconds of samples."""
    return np.arange(round(length * SAMPLE_RATE)) / SAMPLE_RATE


def sine(hertz: np.ndarray | float, time: np.ndarray) -> np.ndarray:
    """Return a sine of a fixed or changing frequency."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(hertz, len(time))) / SAMPLE_RATE)


def harmonics(hertz: np.ndarray | float, levels: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return a tone with harmonics, without those above 10 kHz."""
    return sum(
        level * sine(k * hertz, time) * (k * hertz < 10_000) for k, level in enumerate(levels, 1)
    )


def swell(time: np.ndarray, rise: float) -> np.ndarray:
    """Return an envelope that rises and falls within some seconds."""
    return np.clip(np.minimum(time, time[-1] - time) / rise, 0, 1)


def wander(time: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a curve between 0 and 1 that turns so many times a second."""
    knots = np.arange(0, time[-1] + 1 / rate, 1 / rate)
    return np.interp(time, knots, rng.random(len(knots)))


def coloured(samples: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of RMS 1 whose power goes with frequency to the power of `slope`."""
    frequencies = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * frequencies ** (slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return noise / noise.std()


def band(samples: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of RMS 1 between two frequencies."""
    edges = [low, min(high, 10_000)]
    filters = signal.butter(2, edges, "bandpass", fs=SAMPLE_RATE, output="sos")
    noise = signal.sosfilt(filters, rng.standard_normal(samples))
    return noise / noise.std()


def between(
    rng: np.random.Generator, low: float, high: float, size: int | None = None
) -> np.ndarray | float:
    """Draw from a range where each octave is equally likely."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))
