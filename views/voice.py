"""My voice: half a minute or more of speech, to which the answers of this visit are adapted."""

import functools
import json
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

import audio
import inputs
import limits
from model_folder import ModelError
from views import microphone, session, turns
from views.text import Voice as Text
from views.text import plain

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "known_voice.json"

# Keys of what the session keeps.
RECORD, UPLOAD = "voice_record", "voice_upload"
PROBLEM = "voice_problem"  # why the last recording was of no use


def show() -> None:
    """Draw what is known of the speaker: nothing yet, or the switch to compare with and without."""
    with st.container(key="voice"):
        if session.known_voice():
            show_known()
        else:
            ask()


def ask() -> None:
    """Ask for half a minute of speech, or more."""
    st.markdown(Text.WHY)
    if problem := st.session_state.get(PROBLEM):
        st.error(plain(problem), icon=":material/error:")
    microphone.show(Text.RECORD, key=RECORD, on_change=get_to_know)
    st.caption(Text.PASSAGE)
    st.file_uploader(
        Text.UPLOAD,
        type=sorted(audio.EXTENSIONS),
        key=UPLOAD,
        on_change=get_to_know,
        args=(UPLOAD,),
    )
    st.caption(gain())


def show_known() -> None:
    """Show that a voice is known, the switch, and the way to forget it."""
    st.markdown(Text.KNOWN)
    # The switch stays as it is while another view is shown.
    st.toggle(Text.ADAPT, key=session.ADAPT, persist_state="session")
    st.caption(f"{Text.COMPARE} {gain()}")
    st.button(
        Text.FORGET, on_click=session.forget_voice, icon=":material/delete:", key="voice_forget"
    )


def get_to_know(key: str) -> None:
    """Remember the voice in the sound that a widget brought in, or why it is of no use."""
    st.session_state.pop(PROBLEM, None)
    sound = st.session_state[key]
    if not isinstance(sound, UploadedFile):  # taken back, or gone with a server
        return
    if sound.size > session.room(session.KNOWN_VOICE):
        st.session_state[PROBLEM] = inputs.TOO_MUCH
        session.drop(sound)
        return
    reference = session.Recording(Text.NAME, sound.getvalue())
    try:
        samples = 0
        for piece in audio.stream(reference.content):
            samples += len(piece)
            if samples > limits.VOICE_SECONDS * audio.SAMPLE_RATE:
                raise audio.AudioError(Text.TOO_LONG.format(most=limits.VOICE_SECONDS))
        turns.listening.check()
        with turns.listening:
            known = session.plain_classifier().adapted_to([reference.content])
    except (audio.AudioError, ModelError, turns.BusyError) as error:
        st.session_state[PROBLEM] = str(error)
        return
    session.remember_voice([reference], known)


@functools.cache
def gain() -> str:
    """Return in words what knowing a voice was worth where it was measured."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    rows = [row for row in rows if row["reference"].startswith("half a minute")]
    gains = {f"{100 * row['gain']:.1f}" for row in rows}
    lost = sorted(row["actors_that_lost"] for row in rows)
    change = " to ".join(sorted(gains, key=float))
    return Text.GAIN.format(change=change, few=lost[0], many=lost[-1])
