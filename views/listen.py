"""What brings recordings in: files, folders and archives, the microphone, made-up voices."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import Literal

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

import audio
import corpora
import inputs
import limits
import palette
from classifier import MAX_WHOLE_SECONDS
from views import examples, hearing, many, microphone, recording, session, voice
from views.session import Recording
from views.text import Listen as Text
from views.text import Page, Voice

COMMON = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".webm", ".aiff")  # named first
LISTS = (".zip", ".csv")
TYPES = [*COMMON, *sorted(audio.EXTENSIONS.difference(COMMON)), *LISTS]

#: What lists say: by the last part of a path, the emotion of each such path.
Labels = dict[str, dict[PurePath, str]]

EXAMPLES: dict[str, Callable[[], bytes]] = {
    Text.LIVELY: partial(examples.short, examples.LIVELY),
    Text.GENTLE: partial(examples.short, examples.GENTLE),
    Text.LONG: examples.long,
}


def page() -> None:
    """Draw the page that most visitors come for."""
    st.title(Page.TITLE, anchor=False)
    labels = session.plain_classifier().labels
    intro = st.empty()  # its place stays: what moves in the page loses what it is playing
    if not session.recordings():
        intro.markdown(Text.INTRO.format(count=len(labels)))
    ask_for_recordings()
    offer = st.empty()  # likewise; what it held is gone before a long recording is heard
    found = session.recordings()
    if len(found) > 1:
        many.show(found)
    elif found:
        recording.show(found[0])
    else:
        with offer.container():
            offer_examples()
            show_promises(labels)


def ask_for_recordings() -> None:
    """Show the ways in; what comes in is in the session before the page is drawn anew."""
    number = round_of_widgets()
    upload, record = st.columns([3, 2], gap="medium")
    with upload:
        uploader(Text.UPLOAD, f"upload-{number}", several=True)
        with st.container(horizontal=True):
            with st.popover(Text.FOLDER, icon=":material/folder_open:"):
                uploader(Text.FOLDER, f"folder-{number}", several="directory")
                st.caption(Text.FOLDER_HINT)
            if session.recordings():
                st.button(Text.CLEAR, on_click=clear, icon=":material/restart_alt:", key="clear")
    with record:
        microphone.show(Text.RECORD, key=f"record-{number}", on_change=take_voice)
    with st.expander(Voice.NAME, icon=":material/record_voice_over:"):
        voice.show()
    if not session.recordings():
        st.caption(
            Text.LIMITS.format(
                megabytes=st.get_option("server.maxUploadSize"),
                hours=limits.RECORDING_HOURS,
                visit=limits.VISIT_MB,
                whole=MAX_WHOLE_SECONDS,
            )
        )
    st.caption(Text.PRIVACY)


def uploader(label: str, key: str, *, several: Literal[True, "directory"]) -> None:
    """Show an uploader of files, or of folders."""
    st.file_uploader(
        label,
        type=TYPES,
        accept_multiple_files=several,
        key=key,
        on_change=take_files,
        args=(key,),
    )


def round_of_widgets() -> int:
    """Return what the keys of the widgets end in.

    It grows when recordings outlive their widgets, which another view made Streamlit forget: the
    new ones are empty, and bring more.
    """
    number = st.session_state.get("round", 0)
    keys = (f"{kind}-{number}" for kind in ("upload", "folder", "record"))
    if any(key in session.sources() and key not in st.session_state for key in keys):
        number += 1
        session.archives().clear()  # with the widgets that held them
    st.session_state["round"] = number
    return number


def take_files(key: str) -> None:
    """Take what an uploader holds in the place of what it held."""
    found: list[Recording] = []
    labels: Labels = {}
    lists: list[str] = []
    refused: dict[str, Recording] = st.session_state.setdefault("refused", {})
    session.archives()[key] = 0
    room = session.room(key)
    for file in st.session_state[key]:
        if not isinstance(file, UploadedFile):
            # Refused before, or gone with a server that was started again.
            found += filter(None, [refused.get(file.file_id)])
            continue
        ending = PurePath(file.name).suffix.lower()
        if file.size > room:
            refused[file.file_id] = too_much(file.name)
            found.append(refused[file.file_id])
            session.drop(file)
            continue
        room -= file.size
        if ending == ".zip":
            session.archives()[key] += file.size
            members = unpack(file, room)
            room -= sum(len(one.content) for one in members)
            found += members
        elif ending == ".csv":
            try:
                listed = corpora.parse_list(file.name, io.BytesIO(file.getvalue()), labelled=False)
                for path, emotion, _ in listed:
                    if emotion:
                        labels.setdefault(PurePath(path).name, {})[PurePath(path)] = emotion
                lists.append(file.name)
            except corpora.CorpusError as error:
                reason = str(error).removeprefix(file.name).lstrip(", ")
                found.append(Recording(file.name, b"", error=reason))
        else:
            label = inputs.read_label(file.name, file.name)
            found.append(Recording(file.name, file.getvalue(), label or None))
    named = [labelled(one, labels) for one in found]
    if lists and all(new is old for new, old in zip(named, found, strict=True)):
        named.append(Recording(", ".join(lists), b"", error=Text.NO_MATCH))
    take(key, named)


def too_much(name: str) -> Recording:
    """Return what stands in the place of a sound that does not fit into the visit's memory."""
    return Recording(name, b"", error=inputs.TOO_MUCH)


def unpack(archive: UploadedFile, room: int) -> list[Recording]:
    """Return the recordings in a zip archive, some bytes at most; of the others, the reason."""
    return [
        Recording(sound.path, content, sound.label or None, sound.error)
        for sound, content in inputs.unpack(archive.name, archive, most=room)
    ]


def labelled(one: Recording, labels: Labels) -> Recording:
    """Return a recording with the label that a list gives it, if it does."""
    name = PurePath(one.name).parts
    for path, emotion in labels.get(PurePath(one.name).name, {}).items():
        shared = min(len(name), len(path.parts))  # a list may lie deeper than its recordings, too
        if name[-shared:] == path.parts[-shared:]:
            return replace(one, label=emotion)
    return one


def take_voice(key: str) -> None:
    """Take what the microphone recorded in the place of what it recorded before."""
    sound = st.session_state[key]
    found = []
    if isinstance(sound, UploadedFile):
        number = int(key.rpartition("-")[2])
        name = f"{Text.RECORDED} {number + 1}" if number else Text.RECORDED
        fits = sound.size <= session.room(key)
        found = [Recording(name, sound.getvalue()) if fits else too_much(name)]
    take(key, found)


def take_example(kind: str) -> None:
    """Take a made-up voice."""
    take("example", [Recording(Text.EXAMPLE_NAME.format(kind=kind), EXAMPLES[kind]())])


def take(source: str, found: list[Recording]) -> None:
    """Let recordings take the place of those that came from a source before."""
    session.sources()[source] = found
    hearing.forget({one.digest for one in session.recordings()})


def clear() -> None:
    """Forget all recordings, and empty the widgets."""
    session.sources().clear()
    session.archives().clear()
    hearing.forget(set())
    recording.stopped().clear()
    st.session_state["round"] += 1


def offer_examples() -> None:
    """Offer sounds to those who have none at hand."""
    with st.container(horizontal=True, vertical_alignment="center", key="examples"):
        st.markdown(Text.EXAMPLES)
        for kind in EXAMPLES:
            st.button(kind, on_click=take_example, args=(kind,), key=f"example-{kind}")


def show_promises(labels: tuple[str, ...]) -> None:
    """Show what is to be expected, and the emotions in their colours."""
    with st.container(key="emotions", border=True):
        for column, (promise, meaning) in zip(st.columns(3), Text.PROMISES, strict=True):
            with column.container(gap="xxsmall"):
                st.markdown(f"**{promise}**")
                st.caption(meaning)
        st.markdown(f"**{Text.EMOTIONS}**")
        st.html(palette.legend(labels))
