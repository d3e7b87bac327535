"""Classify recordings: files, folders, zip archives and CSV lists.

Where the true emotion is known (from the names of RAVDESS, CREMA-D, TESS, SAVEE
and EMO-DB, from folders named after emotions, or from a column `emotion` of the
list) the model is evaluated, too.
"""

import argparse
import functools
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import results
    from classifier import EmotionClassifier
    from inputs import Input

ROOT = Path(__file__).resolve().parent
TABLE_ENDINGS = (".csv", ".json", ".parquet")

# Starting processes takes longer than classifying this many files does.
FILES_WORTH_PROCESSES = 100
MAX_PATH_WIDTH = 44  # on the terminal

OK, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Raises:
        SystemExit: wrong usage (status 2), or help was asked for (status 0).
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names hold any character
    try:
        status = _run(parser, options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # what reads our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="test_model.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 all files classified, 1 some could not be, 2 wrong usage or\n"
        "no model, 130 interrupted.",
    )
    add = parser.add_argument
    add(
        "paths",
        nargs="*",
        metavar="PATH",
        help="sound, folder, .zip archive, or .csv list (first column: paths, relative to the "
        "list; optional column: emotion); without any: the folder data/",
    )
    add(
        "--model",
        default=str(ROOT / "model" / "frames"),
        metavar="FOLDER",
        help="model folder (default: model/frames)",
    )
    add(
        "--output",
        type=_table_file,
        metavar="FILE",
        help=f"write the results as a table: {', '.join(TABLE_ENDINGS)}",
    )
    add(
        "--report",
        type=_folder,
        metavar="DIR",
        help="write report.md, results.csv and, where emotions are known, confusion.png",
    )
    add(
        "--speaker-reference",
        metavar="PATH",
        help="sound or folder of sounds, half a minute or more in all, of the one person who "
        "speaks in all recordings: what that voice always has is taken off",
    )
    add(
        "--segments",
        action="store_true",
        help="classify windows of a few seconds instead of whole recordings",
    )
    add(
        "--jobs",
        type=_positive,
        metavar="N",
        help="processes (default: 1 for few files, otherwise one per core)",
    )
    add("--quiet", action="store_true", help="print the results, but no progress and no notes")
    return parser


def _table_file(text: str) -> Path:
    file = Path(text)
    if file.suffix.lower() not in TABLE_ENDINGS:
        raise argparse.ArgumentTypeError(
            f"{text} ends in none of {', '.join(TABLE_ENDINGS)}, which name the kind of table"
        )
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {file.parent}; create it first")
    if file.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; name a file in it")
    return file


def _folder(text: str) -> Path:
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file; name a folder")
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of processes; give 1 or more")
    return int(text)


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    import logging

    import inputs
    import results
    from audio import AudioError
    from classifier import ModelError

    if options.output and os.path.realpath(options.output) in map(os.path.realpath, options.paths):
        parser.error(f"{options.output} is one of the inputs; write the table to another file")
    logging.getLogger("inputs").disabled = options.quiet
    paths = options.paths
    if not paths and (ROOT / "data").is_dir():
        paths = [str(ROOT / "data")]
    files = inputs.collect(paths)
    if not options.paths and all(file.error for file in files):
        parser.print_help()
        return WRONG_USAGE
    try:
        classifier = _classifier(options.model, options.speaker_reference)
        if options.report:
            options.report.mkdir(parents=True, exist_ok=True)
    except AudioError as error:
        print(f"test_model.py: --speaker-reference: {error}", file=sys.stderr)
        return WRONG_USAGE
    except (ModelError, OSError) as error:
        print(f"test_model.py: {error}", file=sys.stderr)
        return WRONG_USAGE

    done = _classify_all(files, options)
    table = results.table([row for rows in done for row in rows], classifier.labels)
    left_out = len(files) - len(done)
    report = results.report(table, files[: len(done)], classifier.manifest, left_out=left_out)
    status = INTERRUPTED if left_out else SOME_FAILED if (table.error != "").any() else OK
    # Written before the report is printed, which fails where the reader of a pipe is gone.
    try:
        if options.output:
            results.write_table(table, options.output)
        if options.report:
            results.write_report(table, report, options.report)
    except OSError as error:
        print(f"test_model.py: the results cannot be written: {error}", file=sys.stderr)
        status = status or SOME_FAILED
    print(f"\n{report}")
    return status


def _classify_all(
    files: "Sequence[Input]", options: argparse.Namespace
) -> "list[list[results.Row]]":
    """Classify and print, file after file, until done or interrupted.

    A worker process that is killed, by a fault in a decoder or for want of memory, takes the
    others with it. Then the files that are left become rows with an error.

    Returns:
        The rows of each file, of the first ones if interrupted.
    """
    from concurrent.futures.process import BrokenProcessPool

    from tqdm import tqdm

    import results

    width = min(MAX_PATH_WIDTH, max(len(file.path) for file in files))
    done: list[list[results.Row]] = []

    def keep(found: list[results.Row]) -> None:
        done.append(found)
        for row in found:
            tqdm.write(results.line(row, width))

    try:
        with tqdm(total=len(files), unit="file", disable=options.quiet or None) as bar:
            for found in _stream(files, options):
                keep(found)
                bar.update()
    except BrokenProcessPool:
        lost = "a process ended while this or another file was read; try again with --jobs 1"
        for file in files[len(done) :]:
            keep([results.failure(file, lost)])
    except (KeyboardInterrupt, BrokenPipeError):  # what is done is kept
        pass
    return done


def _stream(files: "Sequence[Input]", options: argparse.Namespace) -> "Iterator[list[results.Row]]":
    """Yield the rows of each file, in order."""
    import joblib

    import workers

    jobs = options.jobs
    if jobs is None:
        jobs = 1 if len(files) < FILES_WORTH_PROCESSES else joblib.cpu_count()
    if jobs == 1:
        for file in files:
            yield _classify(file, options.model, options.speaker_reference, options.segments)
        return
    classify = joblib.delayed(_classify)
    tasks = (
        classify(file, options.model, options.speaker_reference, options.segments) for file in files
    )
    with workers.deaf_to_interrupts():
        stream = joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks)
    yield from stream


@functools.lru_cache(maxsize=1)  # once per process
def _classifier(model: str, reference: str | None) -> "EmotionClassifier":
    import inputs
    from classifier import EmotionClassifier

    classifier = EmotionClassifier.load(model)
    if reference is None:
        return classifier
    return classifier.adapted_to(inputs.read(file) for file in inputs.collect([reference]))


def _classify(
    file: "Input", model: str, reference: str | None, segments: bool
) -> "list[results.Row]":
    """Return the row of a file or, with `segments`, those of its windows."""
    import audio
    import inputs
    import results

    classifier = _classifier(model, reference)
    try:
        waveform = audio.load(inputs.read(file))
        if not segments:
            return [results.success(file, classifier.classify_waveform(waveform))]
        return [
            results.success(file, segment.prediction, start=segment.start, end=segment.end)
            for segment in classifier.classify_segments(waveform)
        ]
    except audio.AudioError as error:
        # The row names the file already; what comes out of an archive is "the sound".
        message = str(error).removeprefix(f"{file.path}: ").removeprefix("the sound: ")
        return [results.failure(file, message)]
    except Exception as error:  # a surprise in one file must not cost the others their results
        return [results.failure(file, f"not classified: {type(error).__name__}: {error}")]


if __name__ == "__main__":
    # By its module name, so that worker processes find the functions they are sent.
    from test_model import main as run

    sys.exit(run())
