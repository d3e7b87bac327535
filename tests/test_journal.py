import os
import sqlite3

import pytest

import journal
from inputs import Input
from journal import Journal, JournalError


def sounds(folder, *names: str) -> list[Input]:
    for name in names:
        (folder / name).write_bytes(b"sound")
    return [Input(name, str(folder / name)) for name in names]


def row(sound: Input, error: str = "") -> list[dict]:
    return [{"path": sound.path, "error": error, "angry": 1 / 3}]


def stopped(file, planned: list[Input], *, done: int, error: str = "") -> None:
    """Leave the journal of a run that was interrupted."""
    run = Journal(file, "settings")
    run.plan(planned)
    for place, sound in list(run.to_do())[:done]:
        run.add(place, row(sound, error))
    run.close()


def left(file, planned: list[Input], settings: str = "settings") -> list[str]:
    """Return the names that a second run has to do."""
    run = Journal(file, settings)
    run.plan(planned)
    names = [sound.path for _, sound in run.to_do()]
    assert len(names) == run.left
    run.close()
    return names


def test_rows_come_back_in_the_order_of_the_sounds(tmp_path):
    planned = sounds(tmp_path, *(f"{i}.wav" for i in range(2500)))
    run = Journal(tmp_path / "journal", "")
    run.plan(planned)
    assert (run.total, run.left, run.widest) == (2500, 2500, 8)
    for number, (place, sound) in enumerate(run.to_do()):  # rows are added meanwhile
        assert sound == planned[number]
        run.add(place, row(sound))
    assert run.left == 0
    assert list(run.done()) == [(sound, row(sound)) for sound in planned]
    run.finished = True
    run.close()
    assert not (tmp_path / "journal").exists()


def test_a_second_run_does_what_is_left(tmp_path):
    planned = sounds(tmp_path, "a", "b", "c", "d")
    stopped(tmp_path / "journal", planned, done=2)
    assert left(tmp_path / "journal", planned) == ["c", "d"]
    # In the new order, among new ones, and without what is gone.
    run = Journal(tmp_path / "journal", "settings")
    run.plan([*sounds(tmp_path, "0"), planned[1], planned[3]])
    assert [sound.path for _, sound in run.to_do()] == ["0", "d"]
    for place, sound in run.to_do():
        run.add(place, row(sound))
    assert [sound.path for sound, _ in run.done()] == ["0", "b", "d"]
    run.close()


def test_what_changed_is_done_again(tmp_path):
    planned = sounds(tmp_path, "old", "touched", "grown", "labelled")
    stopped(tmp_path / "journal", planned, done=4)
    os.utime(tmp_path / "touched", ns=(1, 1))
    (tmp_path / "grown").write_bytes(b"another sound")
    planned[3] = planned[3]._replace(label="sad")
    assert left(tmp_path / "journal", planned) == ["touched", "grown", "labelled"]
    assert left(tmp_path / "journal", planned, "other settings") == [s.path for s in planned]


def test_what_failed_is_tried_again(tmp_path):
    planned = sounds(tmp_path, "a", "b")
    stopped(tmp_path / "journal", planned, done=1, error="no connection")
    assert left(tmp_path / "journal", planned) == ["a", "b"]


def test_an_address_is_taken_to_hold_what_it_held(tmp_path):
    planned = [Input("s3://bucket/a.wav", "s3://bucket/a.wav")]
    stopped(tmp_path / "journal", planned, done=1)
    assert left(tmp_path / "journal", planned) == []


def test_names_that_are_not_utf8_are_kept(tmp_path):
    planned = [Input("odd", "/folder/not\udcff-utf8.wav")]
    stopped(tmp_path / "journal", planned, done=0)
    run = Journal(tmp_path / "journal", "")
    run.plan(planned)
    assert [sound for _, sound in run.to_do()] == planned
    run.close()


def test_an_interrupted_search_leaves_what_was_done(tmp_path):
    planned = sounds(tmp_path, "a", "b")
    stopped(tmp_path / "journal", planned, done=1)

    def search():
        yield planned[0]
        raise KeyboardInterrupt

    run = Journal(tmp_path / "journal", "settings")
    with pytest.raises(KeyboardInterrupt):
        run.plan(search())
    run.close()
    assert left(tmp_path / "journal", planned) == ["b"]


def test_a_journal_without_rows_is_not_left_behind(tmp_path):
    stopped(tmp_path / "journal", sounds(tmp_path, "a"), done=0)
    assert not (tmp_path / "journal").exists()


def test_only_one_run_has_a_journal_open(tmp_path):
    first = Journal(tmp_path / "journal", "")
    with pytest.raises(JournalError, match="another run"):
        Journal(tmp_path / "journal", "")
    first.close()
    Journal(tmp_path / "journal", "").close()


def test_a_full_disk_is_an_error_of_its_own(tmp_path):
    planned = sounds(tmp_path, "a")
    run = Journal(tmp_path / "journal", "")
    run.plan(planned)
    run._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(JournalError, match="full"):
        run.add(0, [{"error": "", "text": "x" * 100_000}])
    run.close()


def test_work_is_saved_while_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SAVE_SECONDS", 0.0)
    run = Journal(tmp_path / "journal", "settings")
    run.plan(sounds(tmp_path, "a", "b"))
    run.add(0, row(Input("a", "")))
    # As the disk has it when the process is killed now.
    (tmp_path / "copy").write_bytes((tmp_path / "journal").read_bytes())
    run.close()
    with sqlite3.connect(tmp_path / "copy") as copy:
        rows = copy.execute("SELECT count(rows) FROM sounds").fetchone()
    copy.close()
    assert rows == (1,)


def test_a_file_of_another_size_is_done_again_whatever_its_time(tmp_path) -> None:
    planned = sounds(tmp_path, "a")
    os.utime(tmp_path / "a", ns=(1, 1))
    stopped(tmp_path / "journal", planned, done=1)
    (tmp_path / "a").write_bytes(b"a longer sound")  # copied over it with its old time
    os.utime(tmp_path / "a", ns=(1, 1))
    assert left(tmp_path / "journal", planned) == ["a"]


def test_a_path_that_no_system_takes_is_planned_all_the_same(tmp_path) -> None:
    run = journal.Journal(None, "")
    run.plan([Input("a", "a\0b.wav")])
    assert run.total == 1
    run.close()
