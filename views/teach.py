"""Teach it: an offer to keep a clip with its label, and the view of what was kept."""

import datetime
from collections import Counter
from collections.abc import Sequence

import pandas as pd
import streamlit as st

import corpora
import my_recordings
import palette
from audio import AudioError
from my_recordings import Kept, NotKeptError
from views import training
from views.session import Recording
from views.text import Page, plain
from views.text import Teach as Text

# Keys of what the session keeps.
VOICE = "teach_voice"  # whose the last clip was
PROBLEM = "teach_problem"  # why a clip was not kept: of which offer, and the words


@st.fragment
def offer(
    recording: Recording,
    *,
    start: float | None = None,
    end: float | None = None,
) -> None:
    """Offer to keep a recording, or a stretch of it, with the label that a person gives it.

    Args:
        recording: what was heard.
        start, end: of the stretch, in seconds; without them the whole recording.
    """
    key = f"{recording.digest[:16]}-{start}-{end}"
    kept = my_recordings.find(recording.digest, start=start, end=end)
    known = kept.emotion if kept else recording.label
    with st.form(f"keep-{key}", border=False):
        st.pills(
            Text.HEARD,
            corpora.EMOTIONS,
            default=known if known in corpora.EMOTIONS else None,
            key=f"was-{key}",
        )
        st.text_input(
            Text.VOICE,
            kept.voice if kept else st.session_state.get(VOICE, ""),
            max_chars=my_recordings.MAX_NAME,
            help=Text.VOICE_HINT,
            key=f"voice-{key}",
        )
        st.checkbox(Text.CONSENT, key=f"agreed-{key}")
        st.form_submit_button(
            Text.KEEP, on_click=keep, args=(key, recording, start, end), icon=":material/save:"
        )
    problem = st.session_state.get(PROBLEM)
    if problem and problem[0] == key:
        st.error(plain(problem[1]), icon=":material/error:")
    elif kept:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(Text.KEPT_AS.format(emotion=kept.emotion, voice=kept.voice))
            st.button(Text.DELETE, on_click=delete, args=([kept],), key=f"drop-{key}")


def keep(key: str, recording: Recording, start: float | None, end: float | None) -> None:
    """Keep a clip as an offer's form says, or remember what is missing for that."""
    emotion, voice, agreed = (
        st.session_state[f"{field}-{key}"] for field in ("was", "voice", "agreed")
    )
    st.session_state.pop(PROBLEM, None)
    try:
        if not emotion:
            raise NotKeptError(Text.NO_EMOTION)
        if not agreed:
            raise NotKeptError(Text.NO_CONSENT)
        my_recordings.keep(recording.content, voice=voice, emotion=emotion, start=start, end=end)
    except (NotKeptError, AudioError) as error:
        st.session_state[PROBLEM] = key, str(error)
    except OSError as error:
        reason = error.strerror or str(error)
        st.session_state[PROBLEM] = key, Text.NOT_WRITTEN.format(reason=reason)
    else:
        st.session_state[VOICE] = voice


def delete(kept: Sequence[Kept]) -> None:
    """Delete clips for good, or say why the disk does not allow it."""
    try:
        my_recordings.delete(kept)
    except OSError as error:
        training.say_unwritten(error)


def page() -> None:
    """Draw what was collected, the training, and the comparison."""
    st.title(Page.TEACH, anchor=False)
    st.markdown(Text.INTRO)
    kept = my_recordings.clips()
    show_kept(kept)
    training.show(kept)


def show_kept(kept: Sequence[Kept]) -> None:
    """Show the clips; those chosen can be played and deleted."""
    st.subheader(Text.COLLECTED.format(count=len(kept)), anchor=False)
    if not kept:
        st.info(Text.NOTHING_YET, icon=":material/lightbulb:")
        return
    emotions, voices = Counter(clip.emotion for clip in kept), Counter(clip.voice for clip in kept)
    style = "display:inline-block;margin-right:1.4rem"
    counts = (
        f'<span style="{style}">{palette.dot(emotion)}{emotion} {number}</span>'
        for emotion, number in emotions.most_common()
    )
    st.html("".join(counts))
    st.caption(Text.VOICES.format(voices=", ".join(f"{v} {n}" for v, n in voices.most_common())))
    state = st.dataframe(
        pd.DataFrame(
            {
                Text.EMOTION: [clip.emotion for clip in kept],
                Text.WHOSE: [clip.voice for clip in kept],
                Text.PART: [part(clip) for clip in kept],
                Text.SAVED: [saved(clip) for clip in kept],
            }
        ),
        hide_index=True,
        height=min(38 + 35 * len(kept), 320),
        column_config={Text.SAVED: st.column_config.DatetimeColumn(format="calendar")},
        on_select="rerun",
        selection_mode="multi-row",
        alt=Text.TABLE_ALT,
        key=f"kept-{hash(tuple(kept))}",  # what is chosen goes with the clips it was chosen of
    )
    chosen = [kept[row] for row in state.selection.rows]
    if not chosen:
        st.caption(Text.CHOOSE)
    elif len(chosen) == 1 and chosen[0].file.exists():
        st.audio(str(chosen[0].file), alt=Text.PLAYER)
    if chosen:
        with st.popover(Text.DELETE_CHOSEN.format(count=len(chosen)), icon=":material/delete:"):
            st.markdown(Text.FOR_GOOD)
            st.button(Text.DELETE, on_click=delete, args=(chosen,), key="delete_chosen")
    st.caption(Text.PRIVACY)


def part(clip: Kept) -> str:
    """Return in words which part of its recording a clip is."""
    return Text.STRETCH.format(*clip.stretch) if clip.stretch else Text.WHOLE


def saved(clip: Kept) -> datetime.datetime:
    """Return when a clip was kept."""
    return datetime.datetime.fromtimestamp(my_recordings.saved(clip.file)).astimezone()
