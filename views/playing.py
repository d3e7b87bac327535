"""The player of a recording, or of a stretch of it."""

import io
import math
from pathlib import Path

import streamlit as st

import audio
from views.session import Recording
from views.text import Recording as Text

# Endings that current browsers play; other sounds are handed to the player as FLAC.
PLAYABLE = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "audio/mp4",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "audio/webm",
}


def show(recording: Recording, *, alt: str, stretch: tuple[float, float] | None = None) -> None:
    """Show the player.

    Args:
        recording: what it plays.
        alt: what it is called.
        stretch: start and end in seconds of what it plays, at once; by default all, when asked to.
    """
    sound, media_type = playable(recording)
    if stretch is None:
        st.audio(sound, media_type, alt=alt)
    else:  # in whole seconds, as Streamlit knows no others
        start, end = math.floor(stretch[0]), math.ceil(stretch[1])
        st.audio(sound, media_type, start_time=start, end_time=end, autoplay=True, alt=alt)


def playable(recording: Recording) -> tuple[bytes, str]:
    """Return sound and media type for the browser's player."""
    media_type = PLAYABLE.get(Path(recording.name).suffix.lower() or ".wav")
    if media_type:
        return recording.content, media_type
    return as_flac(recording.digest, recording), PLAYABLE[".flac"]


@st.cache_data(max_entries=2, show_spinner=Text.CONVERTING)
def as_flac(digest: str, _recording: Recording) -> bytes:
    """Return a recording as FLAC."""
    import soundfile

    flac = io.BytesIO()
    with soundfile.SoundFile(flac, "w", audio.SAMPLE_RATE, 1, format="FLAC") as file:
        for piece in audio.stream(_recording.content):
            file.write(piece)
    return flac.getvalue()
