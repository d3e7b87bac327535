"""Classify recordings: files, folders, zip archives, CSV lists and addresses.

Where the true emotion is known (from the names of RAVDESS, CREMA-D, TESS, SAVEE
and EMO-DB, from folders named after emotions, or from a column `emotion` of the
list) the model is evaluated, too.
"""

import argparse
import contextlib
import functools
import hashlib
import io
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from classifier import EmotionClassifier
    from inputs import Input
    from journal import Entry, Journal
    from results import Row

ROOT = Path(__file__).resolve().parent
TABLE_ENDINGS = (".csv", ".json", ".parquet")

# Starting processes takes longer than classifying this many files does.
FILES_WORTH_PROCESSES = 200
MAX_PATH_WIDTH = 44  # on the terminal

LOST = (
    "its process was killed, twice, by a fault in a decoder or for want of memory; cut it into "
    "pieces or convert it to WAV"
)

OK, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


class Question(NamedTuple):
    """What is asked about every sound: all that decides the answer but the sound itself.

    Attributes:
        model: its folder, relative to this program's if it lies inside.
        version: digest of its manifest, so that every machine answers with the same one.
        reference: of the speaker, a path or an address, or None.
        segments: windows are asked about, not whole recordings.
    """

    model: str
    version: str
    reference: str | None
    segments: bool


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
        if sys.stdout:  # not closed by whoever runs the command
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        if options.output or options.report:
            print("Interrupted. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # a reader, such as `head`, has seen enough
            return INTERRUPTED
        kept = ": its table is kept" if options.output or options.report else ""
        return _refuse(f"{error}. Mend this and run the same command again{kept}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="test_model.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 all files classified (those without a voice have no emotion),\n"
        "1 some could not be, 2 wrong usage or no model, 130 interrupted.",
    )
    add = parser.add_argument
    add(
        "paths",
        nargs="*",
        metavar="PATH",
        help="sound, folder, .zip archive, .csv list (first column: paths, relative to the list; "
        "optional column: emotion), or address of a sound or folder (s3://, gs://, https://); "
        "without any: the folder data/",
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
        help=f"write the results as a table: {', '.join(TABLE_ENDINGS)}; what is done is kept in "
        "FILE.partial meanwhile, and an interrupted command, given again, goes on from there",
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
        "speaks in all recordings: what the network hears in that voice whatever it says is taken "
        "off; of each file the first ten minutes count",
    )
    add(
        "--segments",
        action="store_true",
        help="classify windows of a few seconds instead of whole recordings",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="processes (default: 1 for few files, otherwise one per core)",
    )
    where.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="work on the Dask cluster of this scheduler, which reads the files itself",
    )
    add("--quiet", action="store_true", help="print the results, but no progress and no notes")
    return parser


def _table_file(text: str) -> Path:
    file = Path(text)
    if file.suffix.lower() not in TABLE_ENDINGS:
        raise argparse.ArgumentTypeError(
            f"{text} ends in none of {', '.join(TABLE_ENDINGS)}, which name the kind of table"
        )
    if not os.path.isdir(file.parent):  # without an error where nobody may look
        raise argparse.ArgumentTypeError(f"there is no folder {file.parent}; create it first")
    if os.path.isdir(file):
        raise argparse.ArgumentTypeError(f"{text} is a folder; name a file in it")
    return file


def _folder(text: str) -> Path:
    if os.path.exists(text) and not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text} is a file; name a folder")
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of processes; give 1 or more")
    return int(text)


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    import logging

    import files
    import inputs
    from audio import AudioError
    from classifier import ModelError
    from journal import Journal, JournalError
    from workers import ClusterError

    report = options.report and options.report / "results.csv"
    for written in (options.output, report):
        if written and os.path.realpath(written) in map(os.path.realpath, options.paths):
            parser.error(f"{written} is one of the inputs; write the table somewhere else")
    logging.getLogger("inputs").disabled = options.quiet
    paths = options.paths
    if not paths and (ROOT / "data").is_dir():
        paths = [str(ROOT / "data")]
    if not options.paths and all(sound.error for sound in inputs.collect(paths)):
        parser.print_help()
        return _refuse("no PATH is given, and data/ holds no sound")
    question = _question(options)
    try:
        _classifier(question)
        if options.report:
            with files.named(options.report):
                options.report.mkdir(parents=True, exist_ok=True)
        table = options.output or report
        journal = Journal(table and Path(f"{table}.partial"), _settings(question))
    except AudioError as error:
        return _refuse(f"--speaker-reference: {error}")
    except OSError as error:
        return _refuse(f"{error.strerror or error}: {error.filename}. Mend this and try again")
    except (ModelError, JournalError) as error:
        return _refuse(error)
    try:
        with contextlib.closing(journal):
            journal.plan(_shown(inputs.collect(paths), quiet=options.quiet))
            to_do = journal.left
            try:
                _classify_all(journal, question, options)
            except (KeyboardInterrupt, BrokenPipeError):  # what is done is kept
                if journal.left == journal.total:  # and if that is nothing, what was there before
                    _refuse("interrupted before the first file was done; nothing is written")
                    return INTERRUPTED
            except (AudioError, ClusterError, ModelError) as error:
                # Only where the work is done: here, model and reference were read before.
                _refuse(error if isinstance(error, ClusterError) else f"on a worker: {error}")
                if journal.left == to_do:
                    return WRONG_USAGE
            return _conclude(journal, question, options)
    except JournalError as error:
        return _refuse(error)


def _refuse(error: object) -> int:
    print(f"test_model.py: {error}", file=sys.stderr)
    return WRONG_USAGE


def _question(options: argparse.Namespace) -> Question:
    import inputs

    model = os.path.abspath(options.model)
    if Path(model).is_relative_to(ROOT):
        model = os.path.relpath(model, ROOT)
    reference = options.speaker_reference
    if reference and not inputs.is_address(reference):
        reference = os.path.abspath(reference)
    return Question(model, _version(model), reference, options.segments)


def _version(model: str) -> str:
    import model_folder

    try:
        manifest = (ROOT / model / model_folder.MANIFEST).read_bytes()
    except OSError:  # loading the model will say why
        return ""
    return hashlib.sha256(manifest).hexdigest()


def _settings(question: Question) -> str:
    """Return all that, beside a sound, decides its rows."""
    import inputs
    import journal

    references = inputs.collect([question.reference] if question.reference else [])
    return repr((question, [journal.fingerprint(sound) for sound in references]))


def _shown(sounds: "Iterable[Input]", *, quiet: bool) -> "Iterable[Input]":
    from tqdm import tqdm

    return tqdm(sounds, desc="found", unit="file", delay=2, leave=False, disable=quiet or None)


def _classify_all(journal: "Journal", question: Question, options: argparse.Namespace) -> None:
    """Classify and print, file after file, what is not done yet."""
    from tqdm import tqdm

    import results
    import workers

    left, jobs = journal.left, options.jobs
    done = journal.total - left
    if done and not options.quiet:
        print(f"{done} of {journal.total} files were done before", file=sys.stderr)
    if jobs is None and left >= FILES_WORTH_PROCESSES:
        import joblib

        jobs = joblib.cpu_count()
    answers = workers.stream(
        functools.partial(_classify, question=question),
        journal.to_do(),
        jobs=jobs or 1,
        scheduler=options.scheduler,
    )
    width = min(MAX_PATH_WIDTH, journal.widest)
    quiet = options.quiet or None
    with (
        contextlib.closing(answers),
        tqdm(total=journal.total, initial=done, unit="file", disable=quiet) as bar,
    ):
        for (place, sound), rows in answers:
            if rows is None:
                rows = [results.failure(sound, LOST)]
            journal.add(place, rows)
            for row in rows:
                tqdm.write(results.line(row, width))
            bar.update()


@functools.lru_cache(maxsize=1)  # once per process
def _classifier(question: Question) -> "EmotionClassifier":
    import inputs
    from classifier import EmotionClassifier, ModelError

    classifier = EmotionClassifier.load(ROOT / question.model)
    if _version(question.model) != question.version:
        raise ModelError(
            f"{ROOT / question.model} is another model on {platform.node()} than here. Copy the "
            "folder to all machines"
        )
    if question.reference is None:
        return classifier
    return classifier.adapted_to(inputs.read(file) for file in inputs.collect([question.reference]))


def _classify(entry: "Entry", question: Question) -> "list[Row]":
    """Return the row of a sound or, if segments are asked for, those of its windows."""
    import audio
    import inputs
    import results
    from classifier import settle_pauses

    _, sound = entry
    classifier = _classifier(question)
    try:
        content = inputs.read(sound)
        if not question.segments:
            return [results.success(sound, classifier.classify(content))]
        segments = list(classifier.stream_segments(audio.stream(content)))
        return [
            results.success(sound, segment.prediction, start=segment.start, end=segment.end)
            for segment in settle_pauses(segments)
        ]
    except audio.AudioError as error:
        # The row names the file already; what is no file here is "the sound".
        message = str(error).removeprefix(f"{audio.printable(sound.file)}: ")
        return [results.failure(sound, message.removeprefix("the sound: "))]
    except Exception as error:  # a surprise in one file must not cost the others their results
        return [results.failure(sound, f"not classified: {type(error).__name__}: {error}")]


def _conclude(journal: "Journal", question: Question, options: argparse.Namespace) -> int:
    """Write the tables, print the report, and return the exit status."""
    import results

    classifier = _classifier(question)
    summary = results.Summary()
    for sound, rows in journal.done():
        summary.add(sound, rows)
    left_out = journal.total - summary.files
    report = results.report(summary, classifier.manifest, left_out=left_out)
    status = INTERRUPTED if left_out else SOME_FAILED if summary.failed else OK

    def tables() -> "Iterator[pd.DataFrame]":
        rows = (row for _, rows in journal.done() for row in rows)
        columns = {"times": options.segments, "labelled": summary.labelled > 0}
        return results.tables(rows, classifier.labels, **columns)

    # Written before the report is printed, which fails where the reader of a pipe is gone.
    try:
        if options.output:
            results.write_table(tables(), options.output)
        if options.report:
            results.write_report(tables(), report, summary.evaluate(), options.report)
        journal.finished = not left_out
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename or 'a file'}"
        _refuse(
            f"the results cannot be written ({reason}). Mend this and run the same command again"
        )
        status = WRONG_USAGE
    print(f"\n{report}")
    if left_out and (options.output or options.report):
        print("What is done is written; the same command goes on with the rest.", file=sys.stderr)
    return status


if __name__ == "__main__":
    # By its module name, so that worker processes find the functions they are sent.
    from test_model import main as run

    sys.exit(run())
