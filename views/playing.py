"""The player of a recording, or of a stretch of it."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

import audio
import limits
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


def show(recording: Recording, **options: Any) -> None:
    """Show the player of a recording, or say why there is none; the options are Streamlit's."""
    sound, media_type = playable(recording)
    if sound is None:
        st.caption(Text.NO_PLAYER.format(minutes=limits.PLAYER_MINUTES))
    else:
        st.audio(sound, media_type, **options)


def show_stretch(recording: Recording, start: float, end: float, *, alt: str) -> None:
    """Show a player that plays a stretch (seconds) of a recording at once."""
    if end <= 60 * limits.PLAYER_MINUTES:  # to decode what lies deeper takes too long
        st.audio(cut(recording.digest, start, end, recording), autoplay=True, alt=alt)
    else:  # in whole seconds, as Streamlit knows no others
        first, last = math.floor(start), math.ceil(end)
        show(recording, start_time=first, end_time=last, autoplay=True, alt=alt)


@st.cache_data(max_entries=2, scope="session", show_spinner=Text.CONVERTING)
def cut(digest: str, start: float, end: float, _recording: Recording) -> bytes:
    """Return a stretch (seconds) of a recording as WAV."""
    return wav(audio.load_part(_recording.content, start, end))


def wav(waveform: np.ndarray) -> bytes:
    """Return a waveform as a WAV file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, waveform, audio.SAMPLE_RATE, format="WAV")
    return file.getvalue()


def playable(recording: Recording) -> tuple[bytes | None, str]:
    """Return sound and media type for the browser's player; no sound where it takes too long."""
    media_type = PLAYABLE.get(Path(recording.name).suffix.lower() or ".wav")
    if media_type:
        return recording.content, media_type
    return as_flac(recording.digest, recording), PLAYABLE[".flac"]


@st.cache_data(max_entries=2, scope="session", show_spinner=Text.CONVERTING)
def as_flac(digest: str, _recording: Recording) -> bytes | None:
    """Return a recording as FLAC, or None if it is longer than `limits` allows."""
    import soundfile

    flac, room = io.BytesIO(), limits.PLAYER_MINUTES * 60 * audio.SAMPLE_RATE
    with soundfile.SoundFile(flac, "w", audio.SAMPLE_RATE, 1, format="FLAC") as file:
        for piece in audio.stream(_recording.content):
            room -= len(piece)
            if room < 0:
                return None
            file.write(piece)
    return flac.getvalue()
