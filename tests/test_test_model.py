import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import speechlike

import audio
import inputs
import test_model
import workers
from audio import SAMPLE_RATE, AudioError
from corpora import EMOTIONS
from inputs import Input
from journal import Journal

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, str(ROOT / "test_model.py")]


def record(file: Path, seconds: float = 1.0, *, seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, speechlike(seconds, seed=seed), audio.SAMPLE_RATE)
    return file


@pytest.fixture
def run(tiny_model, capsys):
    """Run the command in this process: exit status, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = test_model.main([*map(str, arguments), "--model", str(tiny_model)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def clips(tmp_path):
    """Three labelled recordings and one that is none."""
    folder = tmp_path / "clips"
    for seed, emotion in enumerate(("angry", "calm", "sad")):
        record(folder / emotion / "voice.wav", seed=seed)
    (folder / "broken.wav").write_bytes(b"no sound")
    return folder


# ----------------------------------------------------------------------------------------- usage


def test_help_is_there_at_once():
    code = (
        "import sys, test_model\n"
        "try: test_model.main(['--help'])\n"
        "except SystemExit as error: assert error.code == 0\n"
        "assert not {'numpy', 'pandas', 'librosa', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--segments" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "table.xlsx"],
        ["--output", "missing/table.csv"],
        ["--output", "folder.csv"],
        ["--output", "list.csv", "list.csv"],
        ["--report", "list.csv"],
        ["--report", "listed", "listed/results.csv"],
        ["--jobs", "0"],
        ["--jobs", "-1"],
        ["--jobs", "many"],
        ["--scheduler", "tcp://localhost:8786", "--jobs", "2"],
    ],
)
def test_wrong_usage_is_said_before_any_work(arguments, tmp_path, monkeypatch, capsys):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "results.csv").write_text("path\nx.wav\n")
    (tmp_path / "list.csv").write_text("path\nx.wav\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(test_model, "_classifier", lambda _: pytest.fail("work was done"))
    with pytest.raises(SystemExit) as error:
        test_model.main(["voice.wav", *arguments])
    assert error.value.code == test_model.WRONG_USAGE
    assert "test_model.py: error:" in capsys.readouterr().err
    assert (tmp_path / "list.csv").read_text() == "path\nx.wav\n"


def test_no_model_is_one_line_and_status_2(tmp_path, capsys):
    arguments = [str(tmp_path), "--model", str(tmp_path / "missing")]
    assert test_model.main(arguments) == test_model.WRONG_USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "missing" in captured.err


def test_without_arguments_and_recordings_the_help_is_shown(run, tmp_path, monkeypatch):
    monkeypatch.setattr(test_model, "ROOT", tmp_path)
    for _ in range(2):  # without and with the folder data/
        status, out, err = run()
        assert status == test_model.WRONG_USAGE
        assert out.startswith("usage:")
        assert err == "test_model.py: no PATH is given, and data/ holds no sound\n"
        (tmp_path / "data").mkdir(exist_ok=True)


def test_without_arguments_the_data_folder_is_classified(run, tmp_path, monkeypatch):
    record(tmp_path / "data" / "voice.wav")
    monkeypatch.setattr(test_model, "ROOT", tmp_path)
    status, out, _ = run()
    assert status == test_model.OK
    assert "1 of 1 file classified" in out


# --------------------------------------------------------------------------------------- results


def test_every_file_is_a_row_and_a_bad_one_stops_nothing(run, clips, tmp_path):
    status, out, _ = run(clips, "missing.wav", "--output", tmp_path / "table.csv")
    assert status == test_model.SOME_FAILED
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert list(table.columns) == [
        *("path", "emotion", "confidence", "uncertain"),
        *EMOTIONS,
        *("warning", "error", "label"),
    ]
    assert list(table.path) == [
        *(str(clips / name) for name in ("broken.wav", "angry/voice.wav", "calm/voice.wav")),
        str(clips / "sad" / "voice.wav"),
        "missing.wav",
    ]
    assert [bool(error) for error in table.error] == [True, False, False, False, True]
    assert list(table.label) == ["", "angry", "calm", "sad", ""]
    good = table[table.error == ""]
    probabilities = good[list(EMOTIONS)].astype(float)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert list(probabilities.idxmax(axis=1)) == list(good.emotion)
    assert np.allclose(probabilities.max(axis=1), good.confidence.astype(float))
    assert out.count("ERROR") == 2
    assert "3 of 5 files classified. 2 files with an error." in out
    assert "Accuracy" in out


def test_the_error_of_a_row_does_not_repeat_its_path(run, clips, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("broken.wav", b"no sound")
    run(clips / "broken.wav", tmp_path / "bad.zip", "--output", tmp_path / "table.json")
    first, second = json.loads((tmp_path / "table.json").read_text())
    assert first["error"] == second["error"]
    assert first["error"].startswith("no sound found")


def test_all_kinds_of_inputs_at_once(run, clips, tmp_path):
    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        archive.write(clips / "sad" / "voice.wav", "fear/voice.wav")
    (tmp_path / "list.csv").write_text("path,emotion\nclips/calm/voice.wav,joy\n")
    inputs = [clips / "angry" / "voice.wav", tmp_path / "sounds.zip", tmp_path / "list.csv"]
    status, _, _ = run(*inputs, "--output", tmp_path / "table.parquet")
    assert status == test_model.OK
    table = pd.read_parquet(tmp_path / "table.parquet")
    assert list(table.label) == ["angry", "fearful", "happy"]
    assert list(table.path.map(os.path.basename)) == ["voice.wav"] * 3


def test_who_stops_while_tables_are_written_is_told_that_nothing_is_lost(run, clips, tmp_path):
    def stop(*_arguments: object) -> int:
        raise KeyboardInterrupt

    table = tmp_path / "table.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_model, "_conclude", stop)
        status, _, err = run(clips / "angry", "--output", table)
    assert (status, table.exists()) == (test_model.INTERRUPTED, False)
    assert "The same command goes on from here" in err
    _, _, err = run(clips / "angry", "--output", table)
    assert "1 of 1 files were done before" in err
    assert table.exists()


def test_an_empty_path_is_no_path(run, clips):
    status, out, _ = run("", clips / "angry" / "voice.wav")
    assert status == test_model.SOME_FAILED
    assert "is no path; name a sound or a folder" in out
    assert "1 of 2 files classified" in out


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_a_place_that_may_not_be_written_to_is_named(run, clips, tmp_path, option, monkeypatch):
    place = tmp_path / "kept"
    place.mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != place and access(path, mode))
    file = place if option == "--report" else place / "table.csv"
    status, _, err = run(clips, option, file)
    assert (status, list(place.iterdir())) == (test_model.WRONG_USAGE, [])
    assert f"{place} must not be written to. Allow it, or write the results elsewhere" in err


def test_a_report_whose_folder_cannot_be_made_is_refused(run, clips, tmp_path):
    (tmp_path / "file").touch()
    status, _, err = run(clips, "--report", tmp_path / "file" / "report")
    assert status == test_model.WRONG_USAGE
    assert f"Not a directory: {tmp_path / 'file' / 'report'}. Mend this and try again" in err


def test_segments_have_a_row_each(run, tmp_path):
    voice = record(tmp_path / "voice.wav", 7.0)
    status, out, _ = run(voice, "--segments", "--output", tmp_path / "table.json")
    assert status == test_model.OK
    rows = json.loads((tmp_path / "table.json").read_text())
    assert len(rows) > 2
    assert list(rows[0])[:4] == ["path", "start", "end", "emotion"]
    assert rows[0]["start"] == 0
    assert rows[-1]["end"] == pytest.approx(7.0)
    assert all(row["start"] < row["end"] for row in rows)
    assert "1 of 1 file classified" in out


def test_a_reference_of_the_speaker_adapts_the_answers(run, clips, tmp_path):
    reference = record(tmp_path / "reference" / "someone.wav", 9.0, seed=7).parent
    tables = {}
    for name, options in (
        ("alone", []),
        ("adapted", ["--speaker-reference", reference]),
        ("two", ["--speaker-reference", reference, "--jobs", 2]),
    ):
        file = tmp_path / f"{name}.csv"
        status, _, _ = run(clips, "--output", file, *options)
        assert status == test_model.SOME_FAILED
        tables[name] = pd.read_csv(file)
    assert not tables["alone"].confidence.equals(tables["adapted"].confidence)
    pd.testing.assert_frame_equal(tables["adapted"], tables["two"])


@pytest.mark.parametrize(
    ("name", "message"),
    [("short.wav", "holds 1.0 s of voice; at least 5 s"), ("missing.wav", "missing.wav")],
)
def test_a_reference_that_says_too_little_is_refused(name, message, run, clips, tmp_path):
    record(tmp_path / "short.wav", 1.0)
    status, printed, error = run(clips, "--speaker-reference", tmp_path / name)
    assert (status, printed) == (test_model.WRONG_USAGE, "")
    assert "--speaker-reference: " in error
    assert message in error
    assert "Traceback" not in error


def test_silence_is_a_result_with_a_warning(run, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(30_000), audio.SAMPLE_RATE)
    status, out, _ = run(tmp_path / "silence.wav", "--output", tmp_path / "table.json")
    assert status == test_model.OK
    (row,) = json.loads((tmp_path / "table.json").read_text())
    assert row["emotion"] is None
    assert row["warning"]
    assert row["error"] == ""
    assert row["warning"] in out


def test_a_report_is_written(run, clips, tmp_path):
    _, out, _ = run(clips, "--report", tmp_path / "new" / "report")
    names = {path.name for path in (tmp_path / "new" / "report").iterdir()}
    assert names == {"report.md", "results.csv", "confusion.png"}
    text = (tmp_path / "new" / "report" / "report.md").read_text("utf-8")
    assert "| angry " in text
    assert "Accuracy" in out


def test_a_table_that_cannot_be_written_is_said_after_the_results(
    run, clips, tmp_path, monkeypatch
):
    def fill_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fill_disk)
    status, out, err = run(clips / "sad", "--output", tmp_path / "table.csv")
    assert status == test_model.WRONG_USAGE
    assert "No space left" in err
    assert "1 of 1 file classified" in out
    assert not list(tmp_path.glob(".*")) + list(tmp_path.glob("*.csv"))


def test_quiet_prints_the_results_and_no_more(run, tmp_path):
    record(tmp_path / "sad" / "angry" / "voice.wav")
    status, out, err = run(tmp_path, "--quiet")
    assert status == test_model.OK
    assert "voice.wav" in out
    assert err == ""


def test_a_worker_imports_no_more_than_an_answer_needs(tiny_model, tmp_path):
    record(tmp_path / "voice.wav")
    code = (
        "import sys, test_model\n"
        "from inputs import Input\n"
        f"options = test_model._parser().parse_args(['--model', {str(tiny_model)!r}])\n"
        f"sound = Input('voice.wav', {str(tmp_path / 'voice.wav')!r})\n"
        "(row,) = test_model._classify((0, sound), test_model._question(options))\n"
        "assert not row['error'], row\n"
        "slow = {'pandas', 'tensorflow', 'keras', 'librosa', 'sklearn', 'matplotlib', 'dask'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# ---------------------------------------------------------------------------------------- faults


def test_a_surprise_in_one_file_costs_no_other(run, clips, monkeypatch):
    read = inputs.read

    def read_or_fail(sound):
        if "calm" in sound.path:
            raise MemoryError("no more")
        return read(sound)

    monkeypatch.setattr(inputs, "read", read_or_fail)
    status, out, _ = run(clips)
    assert status == test_model.SOME_FAILED
    assert "MemoryError: no more" in out
    assert "2 of 4 files classified" in out


def stop_after(number: int, error: type[BaseException], monkeypatch) -> None:
    stream = workers.stream

    def stopped(*arguments, **options):
        for count, answer in enumerate(stream(*arguments, **options)):
            if count == number:
                raise error
            yield answer

    monkeypatch.setattr(workers, "stream", stopped)


def test_a_file_that_kills_its_process_twice_is_a_row_with_an_error(run, clips, monkeypatch):
    stream = workers.stream

    def lose_one(*arguments, **options):
        for (place, sound), rows in stream(*arguments, **options):
            yield (place, sound), None if "calm" in sound.path else rows

    monkeypatch.setattr(workers, "stream", lose_one)
    status, out, _ = run(clips)
    assert status == test_model.SOME_FAILED
    assert out.count("process was killed, twice") == 1
    assert "2 of 4 files classified" in out


def test_an_interruption_before_the_first_answer_leaves_an_older_table(
    run, clips, tmp_path, monkeypatch
):
    run(clips, "--output", tmp_path / "whole.csv")
    (tmp_path / "table.csv").write_text("of last week")
    with monkeypatch.context() as patch:
        stop_after(0, KeyboardInterrupt, patch)
        status, out, err = run(clips, "--output", tmp_path / "table.csv")
    assert (status, out) == (test_model.INTERRUPTED, "")
    assert "nothing is written" in err
    assert (tmp_path / "table.csv").read_text() == "of last week"
    assert not (tmp_path / "table.csv.partial").exists()
    status, out, err = run(clips, "--output", tmp_path / "table.csv")
    assert status == test_model.SOME_FAILED
    assert out.count(".wav") == 4
    assert "were done before" not in err
    assert (tmp_path / "table.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_a_reference_that_a_worker_cannot_read_is_said_in_a_line(run, clips, tmp_path, monkeypatch):
    stop_after(2, AudioError("me.wav: does not exist"), monkeypatch)
    status, _, err = run(clips, "--output", tmp_path / "table.csv")
    assert status == test_model.INTERRUPTED
    assert "on a worker: me.wav: does not exist" in err
    assert len(pd.read_csv(tmp_path / "table.csv")) == 2


def test_an_interruption_keeps_what_is_done_and_the_same_command_goes_on(
    run, clips, tmp_path, monkeypatch
):
    number = 2
    run(clips, "--output", tmp_path / "whole.csv")
    with monkeypatch.context() as patch:
        stop_after(number, KeyboardInterrupt, patch)
        status, out, err = run(clips, "--output", tmp_path / "table.csv")
    assert status == test_model.INTERRUPTED
    assert "the same command goes on with the rest" in err
    assert len(pd.read_csv(tmp_path / "table.csv")) == number
    assert f"Interrupted: {4 - number} files left out" in out
    assert (tmp_path / "table.csv.partial").exists()
    status, out, err = run(clips, "--output", tmp_path / "table.csv")
    assert status == test_model.SOME_FAILED
    # Of two files that were done one is broken, and tried again.
    assert out.count(".wav") == 4 - number // 2
    assert "1 of 4 files were done before" in err
    assert (tmp_path / "table.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert not (tmp_path / "table.csv.partial").exists()


def test_a_cluster_that_cannot_be_reached_leaves_what_is_done_as_it_was(
    run, clips, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        stop_after(2, KeyboardInterrupt, patch)
        run(clips, "--output", tmp_path / "table.csv")
    table = (tmp_path / "table.csv").read_bytes()
    status, out, err = run(clips, "--output", tmp_path / "table.csv", "--scheduler", "nonsense")
    assert (status, out) == (test_model.WRONG_USAGE, "")
    assert "an address such as tcp://" in err
    assert (tmp_path / "table.csv").read_bytes() == table
    _, _, err = run(clips, "--output", tmp_path / "table.csv")
    assert "1 of 4 files were done before" in err


def test_what_was_done_under_other_options_is_done_again(run, clips, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(3, KeyboardInterrupt, patch)
        run(clips, "--output", tmp_path / "table.csv")
    _, out, err = run(clips, "--segments", "--output", tmp_path / "table.csv")
    assert out.count(".wav") == 4
    assert "done before" not in err


@pytest.mark.parametrize("content", [b"not a journal", None])
def test_a_journal_that_cannot_be_used_is_said_before_any_work(run, clips, tmp_path, content):
    place = tmp_path / "table.csv.partial"
    if content:
        place.write_bytes(content)
    else:
        place.mkdir()
    status, out, err = run(clips, "--output", tmp_path / "table.csv")
    assert (status, out) == (test_model.WRONG_USAGE, "")
    assert err.count("\n") == 1
    assert str(place) in err


def test_two_commands_cannot_write_one_table(run, clips, tmp_path):
    held = Journal(tmp_path / "table.csv.partial", "")
    status, out, err = run(clips, "--output", tmp_path / "table.csv")
    held.close()
    assert (status, out) == (test_model.WRONG_USAGE, "")
    assert "another run" in err


def test_a_killed_command_goes_on_where_it_stopped(tiny_model, tmp_path):
    voice = record(tmp_path / "voice.wav")
    for number in range(100):
        (tmp_path / "voices" / f"{number}").mkdir(parents=True)
        os.link(voice, tmp_path / "voices" / f"{number}" / "voice.wav")
    table = tmp_path / "table.csv"
    program = (
        "import sys, journal, test_model\njournal.SAVE_SECONDS = 0\nsys.exit(test_model.main())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "voices"), "--jobs", "1"]
    command += ["--model", str(tiny_model), "--output", str(table)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for _ in range(10):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert not table.exists()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == test_model.OK, again.stderr
    assert " of 100 files were done before" in again.stderr
    assert 0 < again.stdout.count("voice.wav") < 95
    assert len(pd.read_csv(table)) == 100


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX knows them")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_done(tiny_model, tmp_path, jobs):
    record(tmp_path / "voice.wav")
    (tmp_path / "list.csv").write_text("path\n" + "voice.wav\n" * 5000)
    table = tmp_path / "table.csv"
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [
                *COMMAND,
                str(tmp_path / "list.csv"),
                *("--model", str(tiny_model), "--output", str(table), "--jobs", jobs),
            ],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # as a terminal does, all its processes get the signal
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    with process.stdout as stream:
        first = stream.readline()
        os.killpg(process.pid, signal.SIGINT)
        out = stream.read()  # `communicate` would pass over what `readline` has read ahead
    assert process.wait(timeout=60) == test_model.INTERRUPTED
    assert "Traceback" not in (tmp_path / "err").read_text()
    assert "Interrupted" in out
    printed = sum("voice.wav" in line for line in [first, *out.splitlines()])
    # The signal may come between keeping a result and printing it.
    assert len(pd.read_csv(table)) - printed in (0, 1)


# ------------------------------------------------------------------------------- as a command


def test_processes_give_the_same_table_in_the_same_order(run, clips, tiny_model, tmp_path):
    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        for file in sorted(clips.rglob("*.wav")):
            archive.write(file, file.relative_to(clips))
    inputs = [str(clips), str(tmp_path / "sounds.zip")]
    run(*inputs, "--jobs", "1", "--output", tmp_path / "one.csv")
    arguments = ["--jobs", "2", "--output", tmp_path / "two.csv", "--model", tiny_model]
    done = subprocess.run([*COMMAND, *inputs, *arguments], capture_output=True, text=True)
    assert done.returncode == test_model.SOME_FAILED, done.stderr
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text()


def test_a_reader_that_leaves_early_costs_no_results(tiny_model, tmp_path):
    voice = record(tmp_path / "voice.wav")
    (tmp_path / "list.csv").write_text("path\n" + "missing.wav\n" * 5000)
    table = tmp_path / "table.csv"
    process = subprocess.Popen(
        [
            *COMMAND,
            *(str(voice), str(tmp_path / "list.csv"), "--jobs", "1"),
            *("--model", str(tiny_model), "--output", str(table)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == test_model.INTERRUPTED
    assert "Traceback" not in err
    assert "Exception" not in err
    assert len(pd.read_csv(table)) >= 1


def test_a_terminal_without_unicode_is_no_obstacle(tiny_model, tmp_path):
    voice = record(tmp_path / "日本.wav")
    done = subprocess.run(
        [*COMMAND, str(voice), "--model", str(tiny_model)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == test_model.OK, done.stderr
    assert r"\u65e5" in done.stdout


def test_ten_published_clips_give_ten_rows_and_a_report(shared_data, tiny_model, tmp_path):
    done = subprocess.run(
        [
            *COMMAND,
            str(shared_data / "ravdess-original"),
            *("--model", str(tiny_model), "--report", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == test_model.OK, done.stderr
    assert done.stdout.count(".wav") == 10
    assert "10 of 10 files classified" in done.stdout
    assert "10 files with a known emotion" in " ".join(done.stdout.split())
    assert "UAR" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert len(pd.read_csv(tmp_path / "results.csv")) == 10
    assert "Traceback" not in done.stderr


def test_a_segment_that_turns_out_to_be_a_pause_has_no_emotion(tmp_path):
    said = np.concatenate([0.015 * speechlike(4.5), speechlike(6.0, seed=1)])
    soundfile.write(tmp_path / "voice.wav", said, SAMPLE_RATE, subtype="FLOAT")
    question = test_model._question(test_model._parser().parse_args(["--segments"]))
    test_model._classifier.cache_clear()
    sound = Input("voice.wav", str(tmp_path / "voice.wav"))
    first, *_, last = test_model._classify((0, sound), question)
    assert first["emotion"] is None
    assert "a pause beside" in first["warning"]
    assert last["emotion"]


def test_another_model_or_reference_asks_for_everything_anew(tmp_path):
    reference = tmp_path / "me.wav"
    reference.write_bytes(b"one")
    question = test_model.Question("model", "1", str(reference), False)
    before = test_model._settings(question)
    assert test_model._settings(question._replace(version="2")) != before
    reference.write_bytes(b"another")
    assert test_model._settings(question) != before
