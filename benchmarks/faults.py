"""What is left when a program is killed, at any moment, and whether it goes on as if it never was.

    python benchmarks/faults.py [--kills N] [--seed N]

Each kind of work is done once undisturbed. Then, again and again, it is begun anew, killed with all
its processes (SIGKILL) at a moment drawn at random, looked at, and begun again until it is done. A
promise is broken where something that has its final name is not whole, where what was finished is
done again, where the end differs from that of the undisturbed work (weights, tables, sounds, byte
by byte; times and numbers of processes aside), or where a file is left that was not left there.

Linux and macOS only. Writes benchmarks/results/faults.json. Stopped, the same command goes on.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

import corpora  # noqa: E402
import model_folder  # noqa: E402
import my_recordings  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
CACHE = ROOT / ".cache"
SECONDS = 300  # for a program to end, or it hangs

#: What is killed, in turn: the words for the table.
WORDS = {
    "training": "`train.py`, two speaker folds and the model, over an older model",
    "classifying": "`test_model.py FOLDER --output TABLE`, over an older table",
    "download": "the download of RAVDESS, from a server of this machine",
    "saving": "the page, while it saves clips",
    "retraining": "the page, and the training that it started",
}
TURN = ["training", "classifying", "download", "saving", "classifying"]
TURN += ["retraining", "saving", "training", "download"]
UNTOLD = ("progress.jsonl", "process.txt", "log.txt")  # hold times and numbers of processes

Trial = dict[str, Any]


# The five kinds of work, each in a process of its own. What they need lies in `given`.


def training(place: Path, given: Path) -> int:
    """Train a network with an evaluation."""
    import train
    import workers

    workers.import_tensorflow()
    import crossvalidation  # noqa: F401

    train.CACHE, train.RESULTS = place / "cache", place / "results"
    options = ["--data", given / "corpus", "--network", "vector", "--folds", 2, "--epochs", 40]
    options += ["--jobs", 2, "--output", place / "model"]
    begin(place)
    return train.main([str(option) for option in options])


def classifying(place: Path, given: Path) -> int:
    """Classify a folder."""
    import test_model

    options = [given / "sounds", "--model", given / "model", "--jobs", 2]
    options += ["--output", place / "table.csv"]
    begin(place)
    return test_model.main([str(option) for option in options])


def download(place: Path, given: Path) -> int:
    """Fetch and unzip a corpus."""
    import pooch  # noqa: F401
    import requests  # noqa: F401

    from download import Archive, Source, download_ravdess

    source = json.loads((given / "source.json").read_text("utf-8"))
    archives = tuple(Archive(*archive) for archive in source["archives"])
    begin(place)
    download_ravdess(place, source=Source(source["url"], archives))
    return 0


def saving(place: Path, given: Path) -> int:
    """Keep clips, and give some another label."""
    my_recordings.FOLDER = place / "data" / corpora.OWN
    begin(place)
    for number, sound in enumerate(sorted((given / "sounds").iterdir())):
        content = sound.read_bytes()
        my_recordings.keep(content, voice="alice", emotion=corpora.EMOTIONS[number % 3])
        my_recordings.keep(content, voice="alice", emotion="sad", start=0.1, end=0.7)
        if number % 4 == 0:
            my_recordings.keep(content, voice="bob", emotion="calm")
    return 0


def retraining(place: Path, given: Path) -> int:
    """Train on kept clips as the page does: start, or go on with what was started."""
    import retraining

    retraining.FOLDER, retraining.MODELS = place / "retraining", place / "model"
    retraining.PROGRAM = [sys.executable, "-u", __file__, "--train", str(place / "cache")]
    my_recordings.FOLDER = given / "data" / corpora.OWN
    kept = my_recordings.clips()
    last = retraining.last()
    begin(place)
    if last is None:
        retraining.start("one", kept, sources=[given / "corpus"], network="vector")
    elif last.state != "finished":
        retraining.go_on()
    while retraining.running():
        time.sleep(0.05)
    last = retraining.last()
    return 0 if last and last.state == "finished" else 1


KINDS = {work.__name__: work for work in (training, classifying, download, saving, retraining)}


def begin(place: Path) -> None:
    """Tell whoever kills that all is loaded."""
    begun(place).touch()


def begun(place: Path) -> Path:
    """Return the file that says so."""
    return place.with_name(f"{place.name}.begun")


# What they are given.


def give(given: Path) -> None:
    """Make sounds, a corpus, kept clips and a model, the same ones each time."""
    from conftest import TWO_EMOTIONS, as_wav, make_corpus, make_model, speechlike

    make_corpus(given / "corpus")
    (given / "sounds").mkdir()
    for number in range(120):
        waveform = speechlike(0.8 + number % 5, seed=number)
        (given / "sounds" / f"{number:03}.wav").write_bytes(as_wav(waveform))
    my_recordings.FOLDER = given / "data" / corpora.OWN
    for number in range(16):
        sound = as_wav(speechlike(0.6, seed=1000 + number))
        my_recordings.keep(sound, voice="alice", emotion=TWO_EMOTIONS[number % 2])
    make_model(given / "model", "frames")


@contextlib.contextmanager
def served(given: Path) -> Iterator[None]:
    """Serve two archives, slowly, as `download` expects them."""
    bodies = {}
    rng = np.random.default_rng(0)
    for name in ("Audio_Speech_Actors_01-24.zip", "Audio_Song_Actors_01-24.zip"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for number in range(150):
                archive.writestr(f"Actor_01/{number:03}.wav", rng.bytes(10_000))
        bodies[name] = file.getvalue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies[self.path.partition("?")[0].strip("/")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # killed
                for start in range(0, len(body), 2**16):
                    self.wfile.write(body[start : start + 2**16])
                    time.sleep(0.02)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    archives = [(name, len(body), hashlib.md5(body).hexdigest()) for name, body in bodies.items()]
    source = {"url": f"http://127.0.0.1:{server.server_port}/", "archives": archives}
    (given / "source.json").write_text(json.dumps(source), encoding="utf-8")
    yield
    server.shutdown()


# The killer.


def main() -> int:
    """Run, write the results file and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    log = CACHE / f"faults-{_code()}-{options.seed}.jsonl"
    CACHE.mkdir(exist_ok=True)
    known = log.read_text("utf-8").splitlines() if log.is_file() else []
    trials = [json.loads(line) for line in known if line.endswith("}")][: options.kills]
    with (
        tempfile.TemporaryDirectory() as folder,
        log.open("a", encoding="utf-8", buffering=1) as lines,
        tqdm(total=options.kills, initial=len(trials), desc="kills") as bar,
    ):
        given = Path(folder, "given")
        run(["--give", str(given)], Path(folder))
        with served(given):
            undisturbed: dict[str, tuple[dict[str, str], float]] = {}
            while len(trials) < options.kills:
                number = len(trials)
                kind = TURN[number % len(TURN)]
                place = Path(folder, kind)
                if kind not in undisturbed:
                    bar.set_postfix_str(f"{kind}, undisturbed")
                    undisturbed[kind] = straight(kind, place, given)
                bar.set_postfix_str(kind)
                trials.append(trial(number, options.seed, place, given, *undisturbed[kind]))
                lines.write(json.dumps(trials[-1]) + "\n")
                bar.update()
    content = summarise(trials, options.seed)
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for row in [*content["kinds"].values(), content["all"]]:
        print(" ".join(f"{key} {value}" for key, value in row.items()))
    for found in content["broken"]:
        print(f"kill {found['number']}, {found['kind']}: {'; '.join(found['faults'])[:1000]}")
    return 1 if content["broken"] else 0


def straight(kind: str, place: Path, given: Path) -> tuple[dict[str, str], float]:
    """Do a kind of work undisturbed; return what is there then, and how long it took."""
    prepare(kind, place, given)
    child = start(kind, place, given)
    wait_for(child, place)
    since = time.monotonic()
    if child.wait(SECONDS):
        raise RuntimeError(f"{kind} failed undisturbed: {said(place)}")
    return listing(place), time.monotonic() - since


def trial(
    number: int, seed: int, place: Path, given: Path, expected: dict[str, str], lasts: float
) -> Trial:
    """Begin a kind of work, kill it, let it go on; return what was found."""
    rng = np.random.default_rng([seed, number])
    kind = place.name
    while True:
        prepare(kind, place, given)
        child = start(kind, place, given)
        wait_for(child, place)
        moment = rng.random() * lasts
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(moment)
            continue  # it was faster this time
        break
    kill(child, place)
    faults = broken(place, expected)
    finished = {file: file.stat().st_mtime_ns for file in place.rglob("*.npz")}
    since = time.monotonic()
    again = start(kind, place, given)
    try:
        status = again.wait(SECONDS)
    except subprocess.TimeoutExpired:
        kill(again, place)
        status = None
    seconds = time.monotonic() - since
    if status != 0:
        faults.append(f"status {status}: {said(place)}")
    again_done = [f.name for f, when in finished.items() if f.stat().st_mtime_ns != when]
    faults += [f"done again: {name}" for name in again_done]
    found = listing(place)
    faults += [f"missing: {name}" for name in expected.keys() - found.keys()]
    faults += [f"left over: {name}" for name in found.keys() - expected.keys()]
    same = expected.keys() & found.keys()
    faults += [f"differs: {name}" for name in same if expected[name] != found[name]]
    row = {"number": number, "kind": kind, "killed_after_s": round(moment, 2)}
    return row | {"seconds": round(seconds, 1), "faults": faults}


def prepare(kind: str, place: Path, given: Path) -> None:
    """Make a fresh place, with what an earlier run left in it."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if kind == "training":
        shutil.copytree(given / "model", place / "model")
    if kind == "classifying":
        (place / "table.csv").write_text("old")


def start(kind: str, place: Path, given: Path) -> subprocess.Popen[bytes]:
    """Start a kind of work in a group of processes of its own."""
    begun(place).unlink(missing_ok=True)
    return run([kind, str(place), str(given)], place.parent, wait=False)


def run(arguments: list[str], folder: Path, *, wait: bool = True) -> subprocess.Popen[bytes]:
    """Run this program in another way, its temporary files and its words apart."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    with (folder / "said").open("wb") as words:
        child = subprocess.Popen(
            [sys.executable, __file__, *arguments],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(temporary), "NO_PROXY": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
    if wait and child.wait(SECONDS):
        raise RuntimeError(said(folder / "x"))
    return child


def said(place: Path) -> str:
    """Return the last words of the last program."""
    return (place.parent / "said").read_text("utf-8", errors="replace")[-600:]


def wait_for(child: subprocess.Popen[bytes], place: Path) -> None:
    """Wait until a program has loaded all it needs."""
    while not begun(place).exists():
        if child.poll() is not None:
            raise RuntimeError(f"{place.name} did not begin: {said(place)}")
        time.sleep(0.005)


def kill(child: subprocess.Popen[bytes], place: Path) -> None:
    """Kill a program, all its processes, and the training that it started as the page does."""
    groups = [child.pid]
    with contextlib.suppress(FileNotFoundError, ValueError):
        groups.append(int((place / "retraining" / "process.txt").read_text()))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    child.wait()
    time.sleep(0.1)  # until the others have gone, too


def broken(place: Path, expected: dict[str, str]) -> list[str]:
    """Return what has its final name and is not whole."""
    faults = []
    for file in sorted(place.rglob("*")):
        if file.is_dir() or any(p.startswith(".") for p in file.relative_to(place).parts):
            continue
        name = str(file.relative_to(place))
        try:
            found = digest(file)
        except Exception as error:
            faults.append(f"half: {name}: {error!r}")
            continue
        if file.suffix in (".csv", ".flac", ".wav") and file.read_bytes() != b"old":
            # A clip that is kept may be given another label later on.
            known = expected.values() if file.suffix == ".flac" else [expected.get(name)]
            if found not in known and name != "retraining/clips.csv":
                faults.append(f"half: {name}")
    for model in place.glob("model/**/manifest.json"):
        if not any(part.startswith(".") for part in model.relative_to(place).parts):
            try:
                model_folder.read(model.parent)
            except model_folder.ModelError as error:
                faults.append(str(error))
    if place.name == "training" and not (place / "model" / "manifest.json").exists():
        faults.append("the older model has gone")
    return faults


def listing(place: Path) -> dict[str, str]:
    """Return all files of a place, each with a digest of what it says."""
    files = [file for file in sorted(place.rglob("*")) if file.is_file()]
    return {str(file.relative_to(place)): digest(file) for file in files}


def digest(file: Path) -> str:
    """Return a digest of what a file says: of archives of arrays those, of a network its weights.

    Raises:
        Exception: it is not whole.
    """
    found = hashlib.sha256()
    if file.name in UNTOLD:
        return ""
    if file.suffix in (".npz", ".state"):
        with np.load(file) as arrays:
            for name in sorted(arrays):
                found.update(name.encode() + arrays[name].tobytes())
    elif file.suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            found.update(archive.read("model.weights.h5"))  # the rest has times and addresses
    elif file.suffix == ".json":
        content = json.loads(file.read_text("utf-8"))
        if file.name == model_folder.MANIFEST:
            del content["files"]["network.keras"]
        found.update(json.dumps(content).encode())
    else:
        found.update(file.read_bytes())
    return found.hexdigest()


def _code() -> str:
    """Return a name for all that decides what becomes of a kill."""
    files = [*sorted(ROOT.glob("*.py")), Path(__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def summarise(trials: list[Trial], seed: int) -> dict[str, Any]:
    """Return the content of the results file."""
    from importlib.metadata import version

    from benchmarks import speed

    packages = ("numpy", "tensorflow", "keras", "joblib", "pooch")
    return {
        "command": f"python benchmarks/faults.py --kills {len(trials)} --seed {seed}",
        "seed": seed,
        "machine": speed.machine(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "all": _count("all", trials),
        "kinds": {
            kind: _count(words, [trial for trial in trials if trial["kind"] == kind])
            for kind, words in WORDS.items()
        },
        "broken": [trial for trial in trials if trial["faults"]],
        "trials": [{key: trial[key] for key in trial if key != "faults"} for trial in trials],
    }


def _count(words: str, trials: list[Trial]) -> dict[str, Any]:
    faulty = sum(bool(trial["faults"]) for trial in trials)
    return {
        "what": words,
        "kills": len(trials),
        "went_on": len(trials) - faulty,
        "broken": faulty,
        "slowest_s": max((trial["seconds"] for trial in trials), default=0.0),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--give"]:
        give(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--train"]:
        import train

        train.CACHE = Path(sys.argv[2])
        sys.exit(train.main(sys.argv[3:]))
    elif sys.argv[1:2] and sys.argv[1] in KINDS:
        sys.exit(KINDS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        sys.exit(main())
