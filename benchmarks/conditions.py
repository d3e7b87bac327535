"""Changes of a recording that leave the emotion alone, after audEERING's ser-tests.

Each is called with a waveform (samples,) float32 at `audio.SAMPLE_RATE` and a numpy Generator, from
which alone it draws, and returns a new float32 waveform, as the transforms of `augment` do.

small  what any two recordings of one moment differ by: level, timing, polarity, the coding of a
       voice message, a sound in the background 20 dB under the voice. The voice below 8 kHz stays
       whole; a listener would call it the same recording.
hard   part of the voice is masked, cut off or smeared: a sound only 10 dB under it, a band that
       ends at 4 kHz or earlier, reverberation, clipping that is heard. A listener notices at once,
       and still hears the emotion.

In ser-tests, 95 % of the answers should survive its small changes (gains of 2 dB and noise at 35 to
45 dB: smaller ones than here), 90 % a sound in the background and 50 % a bad telephone.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import audio
from audio import SAMPLE_RATE
from augment import BackgroundNoise, BandLimit, Gain, NoiseAtSNR, Room, Shift, Speed
from features import HOP_LENGTH, SILENCE_DB

#: Share of answers that must stay the same, and that we aim for, by group.
TARGETS = {"small": (0.90, 0.95), "hard": (0.70, 0.80)}

TALKERS = 6  # of a babble

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Condition(NamedTuple):
    """A change, and whether it is 'small' or 'hard'."""

    group: str
    change: Change


def table(noise: Path, rooms: Path, voices: Sequence[np.ndarray]) -> dict[str, Condition]:
    """Return all conditions by name.

    Args:
        noise: folder of everyday sounds.
        rooms: folder of impulse responses.
        voices: at least `TALKERS` waveforms for the babble.
    """
    mp3 = partial(coded, codec="libmp3lame", container="mp3", rate=SAMPLE_RATE)
    opus = partial(coded, codec="libopus", container="ogg", rate=48_000)
    small: dict[str, Change] = {
        "gain -12 dB": Gain(-12, -12),
        "gain -6 dB": Gain(-6, -6),  # a stereo file with one silent channel comes out like this
        "gain +6 dB": Gain(6, 6),
        "gain +12 dB": Gain(12, 12),
        "polarity inverted": inverted,
        "DC offset 0.01": offset,
        "8 bits per sample": quantised,
        "clipped, 0.3 % of samples": partial(clipped, share=0.003),
        "white noise, 20 dB": NoiseAtSNR(20, 20),
        "everyday sound, 20 dB": BackgroundNoise(noise, 20, 20),
        "babble, 20 dB": partial(babble, voices=voices, snr_db=20),
        "MP3, 64 kbit/s": partial(mp3, bit_rate=64_000),
        "MP3, 32 kbit/s": partial(mp3, bit_rate=32_000),
        "Opus, 24 kbit/s": partial(opus, bit_rate=24_000),
        "Opus, 12 kbit/s": partial(opus, bit_rate=12_000),
        "16 kHz and back": partial(resampled, rate=16_000),
        "high-pass 150 Hz": partial(filtered, hertz=150, kind="highpass"),
        "0.5 s of silence around": partial(padded, seconds=0.5),
        "0.1 s cut off both ends": partial(cut, seconds=0.1),
        "silence trimmed": trimmed,
        "later by half a hop": Shift(HOP_LENGTH / 2 / SAMPLE_RATE),
        "2 % slower": Speed(0.98, 0.98),
        "2 % faster": Speed(1.02, 1.02),
    }
    hard: dict[str, Change] = {
        "gain +12 dB into full scale": overdriven,
        "clipped, 5 % of samples": partial(clipped, share=0.05),
        "white noise, 10 dB": NoiseAtSNR(10, 10),
        "everyday sound, 10 dB": BackgroundNoise(noise, 10, 10),
        "babble, 10 dB": partial(babble, voices=voices, snr_db=10),
        "telephone band": BandLimit(),
        "telephone: band, 8 kHz, mu-law": telephone,
        "8 kHz and back": partial(resampled, rate=8_000),
        "low-pass 4 kHz": partial(filtered, hertz=4_000, kind="lowpass"),
        "room": Room(rooms),
    }
    return {
        name: Condition(group, change)
        for group, changes in (("small", small), ("hard", hard))
        for name, change in changes.items()
    }


def inverted(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Swap the poles of the microphone."""
    return -waveform


def offset(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a constant of a hundredth of full scale, as cheap sound cards do."""
    return waveform + np.float32(0.01)


def quantised(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Round to the 255 steps of 8 bits, by a recorder whose level was set to the loudest sample."""
    step = np.abs(waveform).max() / 127
    return np.round(waveform / step) * step if step else waveform.copy()


def clipped(waveform: np.ndarray, rng: np.random.Generator, *, share: float) -> np.ndarray:
    """Cut off the peaks, so that a share of the samples is at the limit."""
    limit = np.float32(np.quantile(np.abs(waveform), 1 - share))
    return np.clip(waveform, -limit, limit)


def overdriven(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Amplify by 12 dB and clip what exceeds full scale: loud clips suffer, quiet ones don't."""
    return np.clip(Gain(12, 12)(waveform, rng), -1, 1)


def babble(
    waveform: np.ndarray,
    rng: np.random.Generator,
    *,
    voices: Sequence[np.ndarray],
    snr_db: float,
) -> np.ndarray:
    """Add `TALKERS` of the voices, equally loud, each going round from a random place."""
    talk = np.zeros(len(waveform))
    for talker in rng.choice(len(voices), TALKERS, replace=False):
        voice = voices[talker]
        start = rng.integers(len(voice))
        talk += np.resize(np.roll(voice, -start), len(waveform)) / np.std(voice)
    power = np.mean(waveform**2, dtype=np.float64) / 10 ** (snr_db / 10)
    return waveform + (np.sqrt(power / np.mean(talk**2)) * talk).astype(np.float32)


def telephone(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Send through a digital telephone line: its band, its sampling rate, its coding (G.711)."""
    band = BandLimit()(waveform, rng)
    return coded(band, rng, codec="pcm_mulaw", container="wav", rate=8_000)


def coded(
    waveform: np.ndarray,
    rng: np.random.Generator,
    *,
    codec: str,
    container: str,
    rate: int,
    bit_rate: int | None = None,
) -> np.ndarray:
    """Encode with FFmpeg and decode with `audio.load`, as if somebody had sent the file.

    Args:
        codec, container: FFmpeg's names for them.
        rate: in Hz, of the coded sound.
        bit_rate: in bit/s, of codecs that have a choice.
    """
    import av
    import soxr

    samples = soxr.resample(waveform, SAMPLE_RATE, rate, quality="HQ")
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
    frame.sample_rate = rate
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return audio.load(file.getvalue())


def resampled(waveform: np.ndarray, rng: np.random.Generator, *, rate: int) -> np.ndarray:
    """Resample to a lower rate and back, which leaves what is below half of it."""
    import soxr

    lower = soxr.resample(waveform, SAMPLE_RATE, rate, quality="HQ")
    return soxr.resample(lower, rate, SAMPLE_RATE, quality="HQ")


def filtered(
    waveform: np.ndarray, rng: np.random.Generator, *, hertz: float, kind: str
) -> np.ndarray:
    """Keep what is above ('highpass') or below ('lowpass') a frequency (Butterworth filter)."""
    from scipy.signal import butter, sosfilt

    filters = butter(4, hertz, kind, fs=SAMPLE_RATE, output="sos")
    return sosfilt(filters, waveform).astype(np.float32)


def padded(waveform: np.ndarray, rng: np.random.Generator, *, seconds: float) -> np.ndarray:
    """Add digital silence in front and behind."""
    return np.pad(waveform, round(seconds * SAMPLE_RATE))


def cut(waveform: np.ndarray, rng: np.random.Generator, *, seconds: float) -> np.ndarray:
    """Cut off the beginning and the end."""
    samples = round(seconds * SAMPLE_RATE)
    return waveform[samples:-samples].copy()


def trimmed(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut off the silence at both ends, by the program's own measure (librosa.effects.trim)."""
    import librosa

    return librosa.effects.trim(waveform, top_db=SILENCE_DB)[0].copy()
