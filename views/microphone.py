"""The microphone, where the browser gives it."""

from collections.abc import Callable
from urllib.parse import urlsplit

import streamlit as st

from views.text import Listen as Text

SAMPLE_RATE = 48_000  # Hz
OWN_MACHINE = ("localhost", "127.0.0.1", "::1")  # which browsers trust without https


def show(label: str, *, key: str, on_change: Callable[[str], None]) -> None:
    """Show a recorder, or say why there is none.

    Args:
        label: what it is for.
        key: of its value in the session.
        on_change: called with the key when there is another recording.
    """
    if is_given(st.context.url):
        st.audio_input(label, sample_rate=SAMPLE_RATE, key=key, on_change=on_change, args=(key,))
    else:
        st.markdown(label)
        st.caption(Text.NO_MICROPHONE)


def is_given(address: str | None) -> bool:
    """Tell whether browsers let a page use the microphone, as far as its address tells."""
    parts = urlsplit(address or "")
    return parts.scheme != "http" or parts.hostname in OWN_MACHINE
