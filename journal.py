"""What a run has to do and what it has done, on disk: it goes on where it stopped.

The journal is an SQLite database beside the table that the run will write. It holds every sound
that was found and, as they come, the rows said of it. So nothing but the sounds in hand is in
memory, however many there are, and whatever ends the run costs the last second of work.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from inputs import Input, is_address

if TYPE_CHECKING:
    from results import Row

Entry = tuple[int, Input]  # the place of a sound in the run, the sound

SAVE_SECONDS = 1.0
_PAGE = 1000  # sounds taken from the database at a time
_COLUMNS = "(place INTEGER PRIMARY KEY, key BLOB, sound TEXT, rows TEXT)"


class JournalError(Exception):
    """A journal cannot be written or read; the message says why and what to do."""


class Journal:
    """The sounds of a run, in order, each with its rows once it is done.

    Only one run at a time may have a journal open.
    """

    def __init__(self, file: Path | None, settings: str) -> None:
        """Open a journal, new or left by an interrupted run.

        Args:
            file: its place; None for a temporary one, which nobody finds again.
            settings: whatever decides what is said of a sound. What was done under others is
                done again.

        Raises:
            JournalError: it cannot be written, is damaged, or belongs to a run that goes on.
        """
        self.file = file
        self.finished = False  # set where its rows are safe elsewhere
        self.total = 0  # sounds
        self.widest = 0  # characters of their longest path
        self._settings = settings
        self._saved = time.monotonic()
        if file and not os.access(file.parent, os.W_OK):
            raise JournalError(
                f"{file.parent} must not be written to. Allow it, or write the results elsewhere"
            )
        with self._told():
            # joblib takes the sounds in threads of its own; SQLite lets one in at a time.
            self._database = sqlite3.connect(file or "", check_same_thread=False, timeout=0)
            try:
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._database.execute("BEGIN EXCLUSIVE")
                self._database.execute(f"CREATE TABLE IF NOT EXISTS sounds {_COLUMNS}")
                self._database.commit()
            except sqlite3.Error:
                self._database.close()
                raise

    def plan(self, sounds: Iterable[Input]) -> None:
        """Put down what there is to do; rows that an earlier run left of the same sounds count."""
        execute = self._database.execute
        with self._told(), self._database:  # all of it or, after an interruption, nothing
            execute("BEGIN")
            execute("ALTER TABLE sounds RENAME TO earlier")
            execute("CREATE INDEX wanted ON earlier (key) WHERE rows IS NOT NULL")
            execute(f"CREATE TABLE sounds {_COLUMNS}")
            self._database.executemany(
                "INSERT INTO sounds VALUES (:place, :key, :sound, (SELECT rows FROM earlier "
                "WHERE key = :key AND rows IS NOT NULL LIMIT 1))",
                self._records(sounds),
            )
            execute("DROP TABLE earlier")

    def _records(self, sounds: Iterable[Input]) -> Iterator[dict[str, int | bytes | str]]:
        for sound in sounds:
            self.widest = max(self.widest, len(sound.path))
            key = fingerprint(sound, self._settings)
            yield {"place": self.total, "key": key, "sound": json.dumps(sound)}
            self.total += 1

    @property
    def left(self) -> int:
        """How many sounds are not done yet."""
        found = self._database.execute("SELECT count(*) FROM sounds WHERE rows IS NULL")
        return found.fetchone()[0]

    def to_do(self) -> Iterator[Entry]:
        """Yield what is not done yet, in order; meanwhile rows may be added."""
        last = -1
        while page := self._database.execute(
            "SELECT place, sound FROM sounds WHERE place > ? AND rows IS NULL "
            "ORDER BY place LIMIT ?",
            (last, _PAGE),
        ).fetchall():
            for last, sound in page:
                yield last, Input(*json.loads(sound))

    def add(self, place: int, rows: list["Row"]) -> None:
        """Keep the rows of a sound. One with an error is tried again by the next run."""
        change = ", key = NULL" if any(row["error"] for row in rows) else ""
        with self._told():
            self._database.execute(
                f"UPDATE sounds SET rows = ?{change} WHERE place = ?",  # noqa: S608
                (json.dumps(rows), place),
            )
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self._database.commit()
                self._saved = time.monotonic()

    def done(self) -> Iterator[tuple[Input, list["Row"]]]:
        """Yield what is done, in order."""
        for sound, rows in self._database.execute(
            "SELECT sound, rows FROM sounds WHERE rows IS NOT NULL ORDER BY place"
        ):
            yield Input(*json.loads(sound)), json.loads(rows)

    def close(self) -> None:
        """Save and close it; one that nobody needs any more is removed.

        Raises:
            JournalError: the last of it cannot be saved.
        """
        with self._told(), contextlib.closing(self._database):
            self._database.commit()
            some_done = self._database.execute("SELECT count(rows) FROM sounds").fetchone()[0]
        if self.file and (self.finished or not some_done):
            self.file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.file or 'a temporary file'}, which keeps what is done, cannot be used "
                f"({error}). Is the disk full, or does another run write there? If neither, delete "
                "it and run the command again"
            ) from None


def fingerprint(sound: Input, settings: str = "") -> bytes:
    """Return a digest of all that decides the rows of a sound.

    The content of a file counts by its size and time of change; what lies at an address is taken
    to stay: asking for each of a million would cost more than it saves.
    """
    version: tuple[int, ...] = ()
    if not is_address(sound.file):
        try:
            found = os.stat(sound.file)
            version = (found.st_size, found.st_mtime_ns)
        except (OSError, ValueError):  # the error will be its row
            pass
    content = json.dumps([settings, sound, version])
    return hashlib.blake2b(content.encode(), digest_size=16).digest()
