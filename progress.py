"""What a long command has done so far, as lines of JSON in a file, for programs that watch it."""

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Where to note it; processes may share one.

    Attributes:
        file: lines are appended to it; None: nobody watches.
    """

    file: Path | None

    def note(self, **what: Any) -> None:
        """Append a line with the time in seconds since 1970 and what has happened."""
        if self.file is None:
            return
        line = json.dumps({"time": round(time.time(), 1), **what})
        # A full disk is told by those whose files matter.
        with contextlib.suppress(OSError), self.file.open("ab+") as lines:
            if lines.tell():
                lines.seek(-1, os.SEEK_END)
                if lines.read() != b"\n":  # a process was killed in its line
                    line = f"\n{line}"
            lines.write(f"{line}\n".encode())


UNWATCHED = Progress(None)


def read(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file, without those that a killed process left unfinished."""
    lines = []
    with contextlib.suppress(FileNotFoundError):
        for line in file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines
