"""What each step towards speed brought: before, after, beside what was expected of it.

    python benchmarks/steps.py DATA

DATA holds RAVDESS. The ways before take turns with those after on the same clips, in one thread.
Steps that were tried and not kept are measured, too. Writes benchmarks/results/steps.json.
"""

import io
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks import speed  # noqa: E402  before NumPy: it settles the number of threads

import librosa  # noqa: E402  isort: skip
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import soxr  # noqa: E402
from ai_edge_litert import interpreter as litert  # noqa: E402

import audio  # noqa: E402
import classifier  # noqa: E402
import features  # noqa: E402
import gate  # noqa: E402
import runtime  # noqa: E402
import windows  # noqa: E402
import workers  # noqa: E402
from audio import SAMPLE_RATE  # noqa: E402
from corpora import EMOTIONS  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "steps.json"
MODEL = ROOT / "model" / "frames"
CLIPS = 48
BATCH = 32
BUSY = "while True: pass"

#: The product behind the chroma, in the way named: milliseconds, the mean of many.
PRODUCT = """
import sys, time
import numpy as np
import features

magnitude = np.ones((160, 1025), np.float32)
filters = features._chroma_filters(0.0)
way = {"whole": np.matmul, "blocks": features._product}[sys.argv[1]]
way(magnitude, filters)
start = time.perf_counter()
for _ in range(300):
    way(magnitude, filters)
print(1000 * (time.perf_counter() - start) / 300)
"""
SOME_FRAMES = 32  # lengths are padded to multiples of it


def main() -> int:
    """Measure all steps, write the results file and print the table."""
    table = speed.speech_asked_for(__doc__, least=CLIPS)
    clips = [audio.load(path) for path in table.path.sample(CLIPS, random_state=0)]
    steps = [
        imports("SciPy's FFT", "scipy.fft", "as fast an FFT, a third of a second less to start"),
        imports("pandas and pyarrow", "pandas", "half a second and 80 MB less to start"),
        decoding_step(clips),
        *feature_steps(clips),
        busy_step(),
        *network_steps(clips),
        *gate_steps(clips),
        *window_steps(np.concatenate(clips)),
    ]
    content = {
        "command": "python benchmarks/steps.py DATA",
        "machine": speed.machine(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "librosa", "ai-edge-litert", "soxr")},
        "steps": steps,
    }
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for made in steps:
        figures = f"{made['before']:9.3g} → {made['after']:.3g} {made['unit']}"
        print(f"{made['what']:58} {figures:24} {made['note']}")
    return 0


def step(
    what: str,
    expected: str,
    before: float,
    after: float,
    *,
    unit: str = "ms",
    note: str = "",
    kept: bool = True,
) -> dict[str, Any]:
    """Return what a step was to bring, and what it brought."""
    return {
        "what": what,
        "expected": expected,
        "before": float(before),
        "after": float(after),
        "unit": unit,
        "note": note,
        "kept": kept,
    }


def imports(what: str, module: str, expected: str) -> dict[str, Any]:
    """Start Python with and without a module that an answer does not need."""
    took = []
    for _ in range(1 + speed.STARTS):  # the first one fills the file cache
        for name in (f"numpy, {module}", "numpy"):
            took.append(speed.run([sys.executable, "-c", f"import {name}"]))
    (before, fat), (after, lean) = np.median(np.reshape(took[2:], (-1, 2, 2)), axis=0)
    note = f"{fat - lean:.0f} MB less"
    return step(f"start without {what}", expected, before, after, unit="s", note=note)


def decoding_step(clips: Sequence[np.ndarray]) -> dict[str, Any]:
    """Read WAV files of 16 bits as libsndfile's floats, and as `audio` does."""
    files = []
    for clip in clips:
        file = io.BytesIO()
        speed.write(file, [clip])
        files.append(file.getvalue())

    def by_libsndfile(file: bytes) -> None:
        with soundfile.SoundFile(io.BytesIO(file)) as sound:
            block = np.empty((audio._BLOCK, 1), np.float32)
            while len(sound.read(out=block)):
                pass

    return step(
        "16 bits scaled by NumPy, not by libsndfile",
        "a third less for reading WAV, the same floats",
        *speed.compare(
            [by_libsndfile, lambda file: list(audio._read_soundfile(io.BytesIO(file)))], files
        ),
    )


def feature_steps(clips: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Set parts of the features beside simpler ways to them."""
    padded = [np.pad(clip, features.N_FFT // 2) for clip in clips]
    magnitudes = [features.analyse(clip).magnitude for clip in clips]
    filters = features._mel_filters()

    def tuning(magnitude: np.ndarray) -> float:
        return librosa.estimate_tuning(S=magnitude.T, sr=SAMPLE_RATE, n_fft=features.N_FFT)

    return [
        step(
            f"STFT {features._BLOCK} frames at a time",
            "1.3 times as fast, as it stays in the cache",
            *speed.compare([lambda clip: spectra(clip, len(clip)), spectra], padded),
            note="for memory",
        ),
        step(
            "mel bands by products of 16 bands over their bins",
            "4 times as fast",
            *speed.compare([lambda m: np.square(m) @ filters, features._mel_powers], magnitudes),
        ),
        step(
            "tuning of librosa by comparing neighbours once",
            "2 times as fast",
            *speed.compare([tuning, lambda m: features._tuning(features._peaks(m))], magnitudes),
        ),
    ]


def busy_step() -> dict[str, Any]:
    """Time a product of matrices where other programs use all cores."""
    environment = {k: v for k, v in os.environ.items() if k not in speed.THREADS}
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    try:
        before, after = (
            float(
                subprocess.run(
                    [sys.executable, "-c", PRODUCT, way],
                    cwd=ROOT,
                    env=environment,
                    capture_output=True,
                    check=True,
                ).stdout
            )
            for way in ("whole", "blocks")
        )
    finally:
        for other in others:
            other.kill()
            other.wait()
    return step(
        f"chroma where all cores are busy: {features._BLOCK} frames at a time",
        "nothing; found when other programs ran",
        before,
        after,
    )


def spectra(padded: np.ndarray, block: int = features._BLOCK) -> np.ndarray:
    """Return the magnitudes of the frames of a padded waveform, some frames at a time."""
    pieces = np.lib.stride_tricks.sliding_window_view(padded, features.N_FFT)
    pieces = pieces[:: features.HOP_LENGTH]
    found = np.empty((len(pieces), 1 + features.N_FFT // 2), np.float32)
    for first in range(0, len(pieces), block):
        spectrum = np.fft.rfft(pieces[first : first + block] * features._window(), axis=1)
        np.abs(spectrum.astype(np.complex64), out=found[first : first + block])
    return found


def network_steps(clips: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Set ways to call the network beside each other."""
    shown = [features.trim_silence(features.extract_frames(clip))[np.newaxis] for clip in clips]
    # One for each way: a network sizes itself anew for each other length.
    network, other = runtime.load(MODEL), runtime.load(MODEL)
    padded = [np.pad(one, ((0, 0), (0, -one.shape[1] % SOME_FRAMES), (0, 0))) for one in shown]
    changed = max(
        np.abs(network(one) - network(longer)).max()
        for one, longer in zip(shown, padded, strict=True)
    )
    by_pads = speed.compare([lambda i: network(shown[i]), lambda i: other(padded[i])], range(CLIPS))
    length = min(one.shape[1] for one in shown)
    batch = np.concatenate([one[:, :length] for one in shown[:BATCH]])
    single, together = speed.compare(
        [lambda all_: [network(one[np.newaxis]) for one in all_], other], [batch]
    )
    # Each parameter of its convolutions is multiplied once per position that the first one leaves.
    workers.import_tensorflow()
    from network import frames_body
    from training import MEMBERS

    parameters = MEMBERS["frames"] * frames_body(len(EMOTIONS), folded=True).count_params()
    positions = -(-length // 2)
    product = speed.compare([lambda square: square @ square], [np.ones((1024, 1024), np.float32)])
    return [
        step(
            "the network as one large product of matrices",
            "the least that any way of convolving could take",
            single / BATCH,
            product[0] * positions * parameters / 1024**3,
            note="there is no such network",
            kept=False,
        ),
        step(
            "XNNPACK in LiteRT",
            "slower, 5 ms for each new length",
            *speed.compare([plain_network(), network], shown),
        ),
        step(
            f"lengths padded to multiples of {SOME_FRAMES} frames",
            "1 ms less, the same answers",
            *by_pads,
            note=f"answers change by up to {changed:.2f}",
            kept=False,
        ),
        step(
            f"{BATCH} windows in one call",
            "1.5 times as fast",
            single / BATCH,
            together / BATCH,
            kept=False,
        ),
    ]


def plain_network() -> runtime.Network:
    """Return the network as LiteRT runs it without XNNPACK."""
    interpreter = litert.Interpreter(
        str(MODEL / "network.tflite"),
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    tensor_in = interpreter.get_input_details()[0]["index"]
    tensor_out = interpreter.get_output_details()[0]["index"]

    def run(network_input: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(tensor_in, network_input.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(tensor_in, network_input)
        interpreter.invoke()
        return interpreter.get_tensor(tensor_out)

    return run


def gate_steps(clips: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Set the order in which the gate listens beside listening from the beginning."""

    def from_beginning(clip: np.ndarray) -> bool:
        level = clip * np.float32(gate._PEAK / np.abs(clip).max())
        samples = soxr.resample(level, SAMPLE_RATE, 16_000)
        return gate._listen([samples], 16_000, enough=gate.ENOUGH) >= gate.ENOUGH

    return [
        step(
            "gate: first a second from where it gets loud",
            "2 times as fast",
            *speed.compare([from_beginning, gate.has_voice], clips),
        )
    ]


def window_steps(recording: np.ndarray) -> list[dict[str, Any]]:
    """Set what overlapping windows share beside working on each by itself."""
    pieces = np.split(recording, range(60 * SAMPLE_RATE, len(recording), 60 * SAMPLE_RATE))
    cut = list(windows.cut(pieces))
    pause = gate.pause_rms(gate.loudest_rms(recording))

    def alone() -> None:
        for window in cut:
            features.extract_frames(window.waveform)

    def shared() -> None:
        for window in windows.cut(pieces):
            features.combine(window.spectra)

    def listen_to_windows() -> None:
        for window in cut:
            gate.has_voice(window.waveform)

    def listen_to_halves() -> None:
        half = None
        for window in cut:
            _, half = classifier._find_voice(window.waveform, half, pause=pause)

    def per_window(way: Callable[[], None]) -> float:
        fastest = np.inf
        for _ in range(3):
            start = time.perf_counter()
            way()
            fastest = min(fastest, time.perf_counter() - start)
        return 1000 * fastest / len(cut)

    return [
        step(
            "frames analysed once for all windows",
            "1.5 times as fast",
            per_window(alone),
            per_window(shared),
        ),
        step(
            "gate: one half of a window for two windows",
            "2 times as fast",
            per_window(listen_to_windows),
            per_window(listen_to_halves),
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
