"""Clips that people labelled on the page and asked to keep, as files that `train.py` reads.

They lie side by side in one folder, decoded: 16-bit FLAC, mono, and nothing that a phone may have
written into the original, such as the place. The name says what is known:

    alice_angry_0f3c9a417b2e5d68.flac              # voice, emotion, SHA-256 of the recording
    alice_angry_0f3c9a417b2e5d68-1500-4500.flac    # of which 1.5 to 4.5 s

So a clip has one label however often it is kept, and clips of one recording are known as such.
"""

import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import audio
import corpora
import files
import limits

FOLDER = Path(__file__).parent / "data" / corpora.OWN
MIN_SECONDS = 0.5  # of less there is too little to tell (classifier.SHORT_SECONDS)
MAX_NAME = 30  # characters of a voice's name


class NotKeptError(ValueError):
    """A clip cannot be kept; the message says in one line what was found and what is expected."""


class Kept(NamedTuple):
    """A clip that was kept.

    Attributes:
        file: of its sound.
        voice, emotion: whose it is, and what is to be heard in it.
        recording: what it was cut from; the same for all clips of one recording.
        stretch: start and end in the recording, in seconds, or None: all of it.
    """

    file: Path
    voice: str
    emotion: str
    recording: str
    stretch: tuple[float, float] | None


def clips() -> list[Kept]:
    """Return what was kept, the last one first."""
    return list(filter(None, map(_kept, sorted(FOLDER.glob("*.flac"), key=saved, reverse=True))))


def saved(file: Path) -> float:
    """Return when a clip was kept, in seconds since 1970; 0 if it has just been deleted."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def find(digest: str, *, start: float | None = None, end: float | None = None) -> Kept | None:
    """Return the clip that was kept of a recording, or of a stretch of it (seconds), if any.

    Args:
        digest: SHA-256 of the recording's bytes.
        start, end: as in `keep`.
    """
    found = FOLDER.glob(f"*_{_sound(digest, start, end)}.flac")
    return next(filter(None, map(_kept, found)), None)


def keep(
    content: bytes,
    *,
    voice: str,
    emotion: str,
    start: float | None = None,
    end: float | None = None,
) -> Kept:
    """Keep a recording, or a stretch of it, with its label. Only call it when the person agreed.

    A clip that was kept before gets the new label. The file is there whole or not at all.

    Args:
        content: the bytes of the recording.
        voice: what its speaker is to be called; `name` makes it fit for a file.
        emotion: one of `corpora.EMOTIONS`.
        start, end: of the stretch, in seconds; without them the whole recording.

    Raises:
        NotKeptError: too short, too long, or a name without letters and digits.
        audio.AudioError: no sound.
        OSError: the disk is full, or must not be written to.
    """
    import soundfile

    digest = hashlib.sha256(content).hexdigest()
    place = FOLDER / f"{name(voice)}_{emotion}_{_sound(digest, start, end)}.flac"
    waveform = _cut(content, start, end)
    waveform = waveform / max(1.0, np.abs(waveform).max())  # nothing is clipped
    flac = io.BytesIO()
    soundfile.write(flac, waveform, audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    # One visitor at a time: two could leave a clip with two labels.
    with files.alone(FOLDER.with_name(f".{FOLDER.name}.lock"), wait="A clip is being kept."):
        before = find(digest, start=start, end=end)
        if before:
            os.replace(before.file, place)
        else:
            FOLDER.mkdir(exist_ok=True)
            files.sweep(FOLDER)
            with files.whole(place) as part:
                part.write_bytes(flac.getvalue())
    kept = _kept(place)
    assert kept
    return kept


def delete(kept: Iterable[Kept]) -> None:
    """Delete clips for good."""
    for clip in kept:
        clip.file.unlink(missing_ok=True)


def name(text: str) -> str:
    """Return a name as it stands in file names: 'Zoë Müller' → 'zoe-muller'.

    Raises:
        NotKeptError: nothing is left of it.
    """
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = "-".join(re.findall("[a-z0-9]+", latin))[:MAX_NAME].strip("-")
    if not found:
        raise NotKeptError(f"The name '{text}' has no letter from a to z and no digit. Add some.")
    return found


def recordings(paths: Iterable[str]) -> list[str]:
    """Return what the clips of this corpus that lie at some paths were cut from.

    A manifest lists them, so that a model is never tested on what it has learned from.
    """
    return sorted({found for path in paths if (found := recording(path))})


def recording(path: str) -> str | None:
    """Return what a clip of this corpus was cut from; None where the path is no such clip's."""
    kept = _kept(Path(path))
    return kept and kept.recording


def _kept(file: Path) -> Kept | None:
    """Return what the name of a file says, or None where it is not a name of ours."""
    clip = corpora.parse_name(file)
    if clip is None or clip.corpus != corpora.OWN:
        return None
    recording, *times = file.stem.lower().rpartition("_")[2].split("-")
    stretch = (int(times[0]) / 1000, int(times[1]) / 1000) if times else None
    return Kept(file, clip.speaker, clip.emotion, recording, stretch)


def _sound(digest: str, start: float | None, end: float | None) -> str:
    """Return the part of a file's name that says which sound it holds."""
    if start is None or end is None:
        return digest[:16]
    return f"{digest[:16]}-{round(1000 * start)}-{round(1000 * end)}"


def _cut(content: bytes, start: float | None, end: float | None) -> np.ndarray:
    """Return a stretch of a recording, or all of it."""
    first, longer = start or 0.0, limits.KEPT_SECONDS + 1 / audio.SAMPLE_RATE
    end = first + longer if end is None else min(end, first + longer)
    waveform = audio.load_part(content, first, end)
    seconds = len(waveform) / audio.SAMPLE_RATE
    if not MIN_SECONDS <= seconds <= limits.KEPT_SECONDS:
        short = seconds < MIN_SECONDS
        found = f"{seconds:.1f} s" if short else f"more than {limits.KEPT_SECONDS} s"
        raise NotKeptError(
            f"The clip lasts {found}; {MIN_SECONDS:g} to {limits.KEPT_SECONDS} s of one emotion "
            "are expected. Choose a segment of it, or cut the recording."
        )
    return waveform
