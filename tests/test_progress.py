"""What a training says to programs that watch it."""

import pytest

import progress
from progress import Progress


@pytest.mark.parametrize(
    "line", ['{"step": "feat', '{"step": "feat\n', "\n", "\x00\x00", "\x00\x00\n"]
)
def test_a_line_that_was_cut_off_hides_no_other(line, tmp_path):
    file = tmp_path / "progress.jsonl"
    log = Progress(file)
    log.note(step="features", done=1, total=2)
    with file.open("a") as stream:
        stream.write(line)
    log.note(finished="model")
    found = progress.read(file)
    assert [set(entry) for entry in found] == [
        {"time", "step", "done", "total"},
        {"time", "finished"},
    ]


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path) -> None:
    Progress(tmp_path).note(step="features")  # a folder: no line can be appended
