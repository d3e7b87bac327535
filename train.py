"""Train a model folder on labelled recordings.

    python train.py --download                     # fetch RAVDESS, then train on it
    python train.py --data mine                    # train on your own

Everything that takes long is kept as soon as it is done: features, finished folds, and every
epoch of an unfinished one. Stop with Ctrl-C at any time; the same command goes on from there.
"""

import argparse
import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progress import Progress

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parent
DATA = ROOT / "data"
CACHE = ROOT / ".cache"
RESULTS = ROOT / "results"

DOWNLOADING = "Another training downloads RAVDESS; this one goes on when that is done."
NETWORKS = ("frames", "vector")
PROTOCOLS = ("random", "speaker", "cross-corpus", "none")
MOST = 10_000_000  # of anything that is counted: NumPy's seeds, made of ours, end at 2**32


class UsageError(Exception):
    """The command cannot do what it was asked; the message says why and what to do."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="DIR",
        help="folders or CSV lists of labelled recordings (default: data)",
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch RAVDESS (434 MB) into the data folder first"
    )
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        default="frames",
        help="over the sequence of frames (default), or the original's over their mean",
    )
    parser.add_argument(
        "--evaluate",
        nargs="+",
        choices=PROTOCOLS,
        default=["speaker"],
        help="measure on unheard speakers (default), a random fifth, or unheard corpora",
    )
    parser.add_argument("--folds", type=_at_least(2), default=6, help="speaker folds (default: 6)")
    parser.add_argument(
        "--seed",
        type=_at_least(0),
        nargs="+",
        default=[0],
        help="evaluate once with each; the model that is kept has the first (default: 0)",
    )
    parser.add_argument(
        "--epochs", type=_at_least(1), help="passes over the clips (default: as the recipe has it)"
    )
    parser.add_argument(
        "--jobs",
        type=_at_least(1),
        default=os.cpu_count() or 1,
        help="processes (default: all cores)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="extract features on the Dask cluster of this scheduler; trainings stay here",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="model folder to write (default: model/NETWORK)"
    )
    parser.add_argument(
        "--progress",
        type=Path,
        metavar="FILE",
        help="append what is done, each epoch's loss among it, to this file as lines of JSON",
    )
    return parser.parse_args(argv)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= MOST:
            raise argparse.ArgumentTypeError(
                f"expected a number from {least} to {MOST}, found {text!r}"
            )
        return int(text)

    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = parse_arguments(argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        return _run(arguments, Progress(arguments.progress))
    except KeyboardInterrupt:
        print("\nStopped. What was finished is kept: the same command goes on from here.")
        return 130


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    from concurrent.futures.process import BrokenProcessPool

    from joblib.externals.loky.process_executor import TerminatedWorkerError

    from audio import AudioError
    from corpora import CorpusError
    from download import DownloadError
    from protocols import ProtocolError
    from workers import ClusterError

    def fail(message: object, status: int) -> int:
        print(f"train.py: {message}", file=sys.stderr)
        progress.note(error=str(message))
        return status

    try:
        check_clock()
        with reserved(arguments.output or ROOT / "model" / arguments.network) as output:
            train(arguments, output, progress)
    except (
        UsageError,
        AudioError,
        ClusterError,
        CorpusError,
        DownloadError,
        ProtocolError,
    ) as error:
        return fail(error, 2)
    except OSError as error:
        return fail(
            f"{error.strerror or error}: {error.filename or 'a file'}. What was finished is kept; "
            "mend this and run the same command again.",
            1,
        )
    except MemoryError:
        return fail(
            "memory ran out. What was finished is kept; run the same command with a smaller "
            "--jobs.",
            1,
        )
    except (BrokenProcessPool, TerminatedWorkerError):
        return fail(
            "a process was ended from outside, most likely because memory ran out. What was "
            "finished is kept; run the same command with a smaller --jobs.",
            1,
        )
    return 0


def check_clock() -> None:
    """Refuse a clock with which no ZIP archive can be dated: most files of a training are such."""
    if (year := time.localtime().tm_year) < 1980:
        raise UsageError(f"The clock of this machine says {year}. Set it to the time of day.")


@contextlib.contextmanager
def reserved(output: Path) -> Iterator[Path]:
    """Keep a place for the model, before hours of work; no other training writes it meanwhile.

    Raises:
        UsageError: no model can be written there.
    """
    import files
    import model_folder

    place = Path(os.path.realpath(output))
    # The new model is put together beside the old one.
    beside = next(folder for folder in (*place.parents, place) if folder.exists())
    for folder in (beside, place):
        if not folder.exists():
            continue
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file. Name another folder with --output.")
        if not os.access(folder, os.W_OK):
            raise UsageError(
                f"{folder} must not be written to. Allow it, or name another folder with --output."
            )
    if place.exists() and not (place / model_folder.MANIFEST).exists() and any(place.iterdir()):
        raise UsageError(
            f"{output} holds something other than a model. Name another folder with --output."
        )
    lock = CACHE / "locks" / hashlib.sha256(os.fsencode(place)).hexdigest()[:16]
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.alone(lock))
        except files.BusyError:
            raise UsageError(
                f"Another training writes {output}. Wait until it is done, or name another folder "
                "with --output."
            ) from None
        yield output


def train(arguments: argparse.Namespace, output: Path, progress: Progress) -> None:
    """Read, extract, evaluate, train, and put the model folder in place."""
    import corpora
    import evaluation
    import model_folder
    import my_recordings
    import protocols

    if progress.file and not progress.file.parent.is_dir():
        raise UsageError(f"{progress.file} lies in no folder that exists. Make it first.")
    sources = arguments.data or [str(DATA)]
    if arguments.download:
        import download
        import files

        with files.alone(CACHE / "locks" / "download", wait=DOWNLOADING):
            ravdess = download.download_ravdess(DATA)
        if arguments.data:
            sources = [*sources, str(ravdess)]
    try:
        table = corpora.scan(*sources)
    except corpora.CorpusError as error:
        if arguments.data or arguments.download:
            raise
        raise UsageError(
            f"{error}. Fetch RAVDESS with --download, or name your recordings with --data."
        ) from None
    voices = table.speaker.nunique()
    print(
        f"{len(table)} clip{'s' if len(table) > 1 else ''} of "
        f"{voices} speaker{'s' if voices > 1 else ''}: "
        f"{evaluation.describe(table)}\n"
        + "  ".join(f"{emotion} {n}" for emotion, n in sorted(table.emotion.value_counts().items()))
    )
    seeds = list(dict.fromkeys(arguments.seed))
    asked = [protocol for protocol in dict.fromkeys(arguments.evaluate) if protocol != "none"]
    told_apart(table)
    for name, clips in table.groupby("corpus"):
        if clips.emotion.nunique() == 1:
            emotion = clips.emotion.iloc[0]
            logging.warning("Nothing is learned from %s: all its clips are %s.", name, emotion)
    # Said now, not after an hour: whether the clips allow all this.
    for protocol in asked:
        protocols.splits(table, protocol, folds=arguments.folds, seed=seeds[0])
    if "speaker" not in asked:
        protocols.carve_final(table, seed=seeds[0])

    import workers

    workers.import_tensorflow()
    import crossvalidation
    import side_by_side
    import training
    from dataset import extract

    dataset = extract(
        table,
        training.RECIPES,
        cache=CACHE / "features",
        seed=seeds[0],
        jobs=arguments.jobs,
        scheduler=arguments.scheduler,
        progress=progress,
    )
    emotions = told_apart(dataset.table)  # clips without sound are not in it
    epochs = arguments.epochs or training.EPOCHS[arguments.network]
    run = CACHE / "runs" / training.run_key(arguments.network, dataset, emotions, epochs=epochs)
    run.mkdir(parents=True, exist_ok=True)

    job = side_by_side.Job(arguments.network, dataset, emotions, epochs, run, progress)
    records: list[dict[str, Any]] = []
    speaker_folds: list[crossvalidation.Finished] = []
    for protocol in asked:
        finished = crossvalidation.run(
            job, protocol, folds=arguments.folds, seeds=seeds, jobs=arguments.jobs
        )
        if protocol == "speaker":
            speaker_folds = finished
        results = [fold.result for fold in finished]
        found = evaluation.records(dataset.table, protocol, emotions, results)
        records += found
        folds = arguments.folds if protocol == "speaker" else ""
        _write_results(
            RESULTS / f"{output.name}-{protocol}{folds}.json",
            {
                "name": output.name,
                "network": arguments.network,
                "corpora": evaluation.summarise(dataset.table),
                "training": {"epochs": epochs, "members": len(finished[0].ensemble.tasks)},
                "versions": model_folder.versions(),
                "metrics": found,
            },
        )
    trained = crossvalidation.train_final(job, speaker_folds, seed=seeds[0], jobs=arguments.jobs)
    side_by_side.discard_material(job)
    progress.note(step="model folder", done=0, total=1)
    model_folder.write(
        output,
        trained.network(),
        kind=arguments.network,
        emotions=emotions,
        normalisation=trained.normalisation(),
        familiar=trained.familiar,
        averages=trained.averages,
        usual=trained.usual_answers(),
        emotion_means=training.emotion_means(job.averages, dataset.table, emotions),
        table=dataset.table,
        records=records,
        training={
            "seed": seeds[0],
            "epochs": epochs,
            "members": len(trained.tasks),
            "temperature": trained.temperature,
            "usual_temperature": training.TOGETHER[arguments.network]
            * training.USUAL_TEMPERATURE[arguments.network],
            "recipe": [str(recipe) for recipe in training.RECIPES],
            "my_recordings": my_recordings.recordings(dataset.table.path),
        },
    )
    progress.note(finished=str(output))
    for record in records:
        print("\n" + evaluation.report(record))
    print(f"\nThe model is in {output}")


def told_apart(table: "pd.DataFrame") -> list[str]:
    """Return the emotions of a table of clips, in label order, or refuse fewer than two.

    A corpus is asked about the emotions that it holds alone: of one with a single emotion nothing
    is learned.

    Raises:
        UsageError: no corpus has two.
    """
    import corpora

    found = table.groupby("corpus").emotion.unique()
    alone = {name: emotions[0] for name, emotions in found.items() if len(emotions) < 2}
    if len(alone) == len(found):
        kinds = " and ".join(sorted(set(alone.values()))) or "silent"
        raise UsageError(
            f"All clips{' of each corpus' if len(alone) > 1 else ''} are {kinds}; at least two "
            "emotions are needed in one folder or list to tell them apart."
        )
    return [emotion for emotion in corpora.EMOTIONS if emotion in set(table.emotion)]


def _write_results(file: Path, content: dict[str, Any]) -> None:
    """Write what an evaluation found: the README's tables are made of such files."""
    import files

    file.parent.mkdir(parents=True, exist_ok=True)
    files.sweep(file.parent, file.name)
    with files.whole(file) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"Its figures are in {file}")


if __name__ == "__main__":
    sys.exit(main())
