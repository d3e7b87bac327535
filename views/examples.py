"""Voices to try the page with, computed: nobody's recording has to be shipped for that.

A source and a filter (Fant, "Acoustic Theory of Speech Production", 1960): harmonics of a gliding
pitch, louder where vowels resonate, cut into syllables and phrases. It babbles, and no actor meant
anything by it.
"""

import functools

import numpy as np

from audio import SAMPLE_RATE
from views.playing import wav

#: Where vowels resonate, in Hz: the first three formants of some.
_VOWELS = np.array(
    [[750, 1200, 2600], [300, 2200, 2900], [320, 800, 2400], [500, 1800, 2500], [550, 950, 2500]]
)
_WIDTHS = (90, 110, 170)  # of the resonances, in Hz

#: How to speak: mean pitch (Hz), its movement (semitones), syllables per second, how fast harmonics
#: fade (dB per octave), level.
Manner = tuple[float, float, float, float, float]
LIVELY: Manner = (230, 5.0, 5.0, -6, 0.5)
GENTLE: Manner = (110, 1.2, 2.6, -14, 0.05)


@functools.cache
def short(manner: Manner, seed: int = 0) -> bytes:
    """Return a WAV of four seconds in one manner."""
    return wav(babble(4.0, manner, seed=seed))


@functools.cache
def long() -> bytes:
    """Return a WAV of a minute: two manners that take turns, and pauses."""
    pause = np.zeros(5 * SAMPLE_RATE, np.float32)
    parts = [
        babble(11.0, manner, seed=seed)
        for seed, manner in enumerate((GENTLE, LIVELY, GENTLE, LIVELY))
    ]
    return wav(np.concatenate([part for voice in parts for part in (voice, pause)][:-1]))


def babble(seconds: float, manner: Manner, *, seed: int) -> np.ndarray:
    """Return vowels in the rhythm of speech: (samples,) float32."""
    mean, movement, rate, fade, level = manner
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    turns = np.arange(0, seconds + 2 / rate, 1 / rate)  # one per syllable
    tune = movement * rng.standard_normal(len(turns)) / 2
    tune += movement * np.cos(np.pi * turns / 2.5) / 2  # phrases begin high and end low
    jitter = np.repeat(0.1 * rng.standard_normal(len(time) // 100 + 1), 100)[: len(time)]
    pitch = mean * 2 ** ((np.interp(time, turns, tune) + jitter) / 12)
    vowels = _VOWELS[rng.integers(len(_VOWELS), size=len(turns))]
    formants = [np.interp(time, turns, vowels[:, i]) for i in range(3)]
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros(len(time))
    for k in range(1, int(5000 / mean)):
        frequency = k * pitch
        filtered = sum(
            1 / (1 + ((frequency - formant) / width) ** 2)
            for formant, width in zip(formants, _WIDTHS, strict=True)
        )
        voice += (filtered + 0.02) * k ** (fade / 6) * np.sin(k * phase)
    stress = np.interp(time, turns, rng.uniform(0.4, 1, len(turns)))
    syllables = np.sqrt(np.clip(np.sin(2 * np.pi * rate * time) + 0.5, 0, None))
    phrases = np.clip(8 * np.abs(np.sin(np.pi * time / 2.5)) - 1, 0, 1)  # a breath in between
    voice *= stress * syllables * phrases
    voice *= level / np.abs(voice).max()
    return (voice + 2e-4 * rng.standard_normal(len(time))).astype(np.float32)
