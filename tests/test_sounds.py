"""The synthetic sounds by which the gate is measured."""

import numpy as np
import pytest

from audio import SAMPLE_RATE
from benchmarks import sounds

KINDS = [
    pytest.param(category, kind, id=kind.__name__)
    for category, kinds in sounds.KINDS.items()
    for kind in kinds
]


@pytest.mark.parametrize("seconds", [2.0, 3.3])
@pytest.mark.parametrize(("category", "kind"), KINDS)
def test_sound_is_as_long_as_asked_and_only_the_seed_decides_it(category, kind, seconds):
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    first, again, other = (kind(time, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == time.shape
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    if kind is not sounds.digital_silence:
        assert not np.array_equal(first, other)
        assert first.std() > 0


def test_silence_is_far_softer_than_what_a_microphone_is_held_to():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for kind in sounds.KINDS["silence"]:
        assert np.sqrt(np.mean(kind(time, np.random.default_rng(0)) ** 2)) <= 1e-3


@pytest.mark.parametrize("slope", [0, -1, -2])
def test_coloured_noise_falls_by_its_slope(slope):
    noise = sounds.coloured(2**18, slope, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)

    def mean_power(low):
        return power[(frequencies >= low) & (frequencies < 2 * low)].mean()

    assert np.log2(mean_power(4000) / mean_power(250)) / 4 == pytest.approx(slope, abs=0.1)
    assert noise.std() == pytest.approx(1)


def test_harmonics_end_below_half_the_sample_rate():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = sounds.harmonics(3000.0, np.ones(10), time)
    loud = np.flatnonzero(np.abs(np.fft.rfft(tone)) > 100)
    np.testing.assert_array_equal(loud, [3000, 6000, 9000])
