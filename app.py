"""The page: upload or record a voice, see and hear which emotion it carries.

Start it with `make app` or `streamlit run app.py`. Sound becomes an answer in `classifier.py`; each
view has a file in `views/`, all words are in `views/text.py`, `charts.py` draws, and `palette.py`
has the colours.
"""

from typing import Any

import streamlit as st

import evaluation
import palette
from model_folder import ModelError
from views import garbage, listen, model, session, teach
from views.text import Page, percent, plain
from views.turns import BusyError

WIDTH = 960  # pixels of the page's column at most


def main() -> None:
    """Draw what all views share, and the view that is asked for."""
    st.set_page_config(page_title=Page.TITLE, page_icon=palette.icon(), layout="wide")
    pages = [
        st.Page(listen.page, title=Page.LISTEN, icon=":material/hearing:", default=True),
        st.Page(model.page, title=Page.MODEL_PAGE, icon=":material/fact_check:", url_path="model"),
    ]
    if session.teaching():
        pages.insert(
            1, st.Page(teach.page, title=Page.TEACH, icon=":material/school:", url_path="teach")
        )
    view = st.navigation(pages, position="hidden")  # on a phone, others hide in the sidebar
    choose_model()
    with st.container(horizontal_alignment="center"), st.container(width=WIDTH):
        with st.container(horizontal=True, key="navigation"):
            for page in pages:
                st.page_link(page, width="content")
        try:
            manifest = session.plain_classifier().manifest
        except ModelError as error:
            st.error(plain(str(error)))
            st.stop()
        show_scores(manifest)
        try:
            view.run()
        except BusyError as error:
            st.warning(str(error), icon=":material/groups:")
            st.button(Page.AGAIN, icon=":material/refresh:", key="again")
        except ModelError as error:  # an older model cannot know a voice
            st.error(plain(str(error)))
        with st.container(key="ethics"):
            st.caption(Page.ETHICS)
    garbage.spare_modules()


def choose_model() -> None:
    """Let a model be chosen in the sidebar; the address keeps it."""
    names = [folder.name for folder in session.model_folders()]
    wanted = st.session_state.get(session.MODEL, st.query_params.get(session.MODEL))
    st.session_state[session.MODEL] = wanted if wanted in names else names[0]
    name = st.sidebar.radio(
        Page.MODEL,
        names,
        format_func=lambda name: Page.MODELS.get(name, (plain(name), ""))[0],
        captions=[Page.MODELS.get(name, ("", Page.OWN_MODEL))[1] for name in names],
        key=session.MODEL,
    )
    if name != names[0]:
        st.query_params[session.MODEL] = name
    elif session.MODEL in st.query_params:
        del st.query_params[session.MODEL]


def show_scores(manifest: dict[str, Any]) -> None:
    """Put the UAR on unheard speakers beside that of a random split, where both are known."""
    records = sorted(manifest.get("metrics", []), key=evaluation.likeness)
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        found.setdefault(record["protocol"], record)
    if not {"speaker", "random"} <= set(found):
        return
    with st.sidebar.container(key="scores"):
        st.markdown(f"**{Page.SCORES}**")
        unheard, known = st.columns(2)
        unheard.metric(Page.SPEAKER_SCORE, percent(found["speaker"]["uar"]), help=Page.SPEAKER_HINT)
        known.metric(Page.RANDOM_SCORE, percent(found["random"]["uar"]), help=Page.RANDOM_HINT)
        test, count = found["speaker"]["test"], len(found["speaker"]["f1_per_emotion"])
        st.caption(plain(Page.SCORES_HINT.format(test=test, count=count)))
        across = [record["uar"] for record in records if record["protocol"] == "cross-corpus"]
        if across:
            st.caption(Page.ACROSS.format(low=percent(min(across)), high=percent(max(across))))


if __name__ == "__main__":
    main()
