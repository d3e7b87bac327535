"""The page: upload or record a voice, see and hear which emotion it carries.

Start it with `make app` or `streamlit run app.py`. Sound becomes an answer in `classifier.py`; here
are only widgets and words; `charts.py` draws. Audio stays in memory.
"""

import io
import re
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

import audio
import charts
import results
from classifier import EmotionClassifier, ModelError, Prediction
from inputs import Input
from model_folder import MANIFEST

Recording = tuple[str, bytes]  # name and content
Answer = Prediction | str  # what the model says of it, or why it cannot be heard

MODEL_FOLDER = Path(__file__).parent / "model"
MODELS = {
    "frames": ("Course over time", "Follows the voice from moment to moment."),
    "vector": ("Average sound", "The original system: one average over the whole recording."),
}

COMMON = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".webm")  # named first

# Endings that current browsers play; other sounds are handed to the player as WAV.
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


class Text:
    """All words of the page."""

    TITLE = "Which emotion is in this voice?"
    INTRO = (
        "Upload recordings of speech or record your own voice, and see which of {count} emotions "
        "each one carries. Every answer says how sure it is, and says so when it is not."
    )
    UPLOAD = "Upload recordings"
    RECORD = "Record your voice"
    RECORDED = "Your recording"
    UPLOAD_HINT = "One or many, up to {megabytes} MB and {hours:g} hours each."
    RECORD_HINT = "A few seconds of one person speaking work best."
    PRIVACY = (
        ":material/lock: Your audio stays in the memory of the machine that runs this page. It is "
        "not saved and not sent anywhere else."
    )
    ETHICS = (
        "The model learnt from actors who performed emotions; what people really feel is subtler, "
        "so treat an answer as an impression, not as a fact about a person. In the EU, the AI Act "
        "bans inferring people's emotions at work and in education."
    )
    EMOTIONS = "The emotions it tells apart"
    PROMISES = (
        ("Doubt included", "The most likely emotion, how sure that is, and the runner-up."),
        ("Nothing hidden", "The probability of every emotion, as a chart."),
        ("The sound itself", "Player, sound wave and spectrogram, to check with your own ears."),
    )

    MODEL = "Model"
    LOADING = "Loading the model …"
    SCORES = "How often it is right"
    SPEAKER_SCORE = "Unheard voices"
    SPEAKER_HINT = "Tested on speakers that were not in its training."
    RANDOM_SCORE = "Known voices"
    RANDOM_HINT = "Tested on a random split: its training held other recordings of these speakers."
    SCORES_HINT = (
        "Averaged over the emotions, on {test}. Expect the first figure of a new voice, or less: "
        "these recordings are clean and acted. Guessing would be right once in {count} times."
    )

    LISTENING = "Listening …"
    PROGRESS = "Listening to recording {number} of {count} …"
    SURE = "{percent} sure"
    NOT_SURE = "Not sure: perhaps {emotion}"
    NOT_SURE_DETAIL = "only {percent} sure"
    RUNNER_UP = "runner-up: {emotion}, {percent}"
    NOTHING = "No emotion to judge"
    PLAYER = "Player of the recording"
    PROBABILITIES = "Probability of each emotion: {values}"
    PICTURE = "Waveform and mel spectrogram of the recording, {seconds:.1f} seconds"
    PICTURE_HINT = (
        "Above, the sound wave. Below, its mel spectrogram: low notes at the bottom, high notes at "
        "the top, the brighter the louder (80 dB from dark to bright)."
    )
    DRAWING = "Drawing …"
    AMPLITUDE = "Amplitude"
    FREQUENCY = "Frequency (Hz)"

    OVERVIEW = "{count} recordings"
    OVERVIEW_HINT = "Choose a row to hear and see its recording."
    OVERVIEW_ALT = "Table of the recordings and their emotions"
    DOWNLOAD = "Download as CSV"
    FILE = "File"
    EMOTION = "Emotion"
    CONFIDENCE = "How sure"
    NOTE = "Note"
    UNREADABLE = "Could not be read"


def main() -> None:
    """Draw the page from top to bottom."""
    st.set_page_config(page_title=Text.TITLE, page_icon=charts.icon())
    st.title(Text.TITLE, anchor=False)
    intro = st.empty()
    folder = choose_model()
    try:
        classifier = load_classifier(folder, version(folder))
    except ModelError as error:
        st.error(plain(str(error)))
        st.stop()
    intro.markdown(Text.INTRO.format(count=len(classifier.labels)))
    show_scores(classifier.manifest)

    recordings = ask_for_recordings()
    if recordings:
        show_results(classifier, recordings)
    else:
        show_emotions(classifier.labels)
    with st.container(key="ethics"):
        st.caption(Text.ETHICS)


def choose_model() -> Path:
    """Return the folder of the model that is chosen in the sidebar."""
    name = st.sidebar.radio(
        Text.MODEL,
        list(MODELS),
        format_func=lambda name: MODELS[name][0],
        captions=[caption for _, caption in MODELS.values()],
        key="model",
    )
    return MODEL_FOLDER / name


def version(folder: Path) -> tuple[int, int] | None:
    """Return what changes when training replaces the model: its manifest's time and size."""
    try:
        manifest = (folder / MANIFEST).stat()
    except OSError:
        return None  # to load the model will say what is missing
    return manifest.st_mtime_ns, manifest.st_size


@st.cache_resource(max_entries=len(MODELS), show_spinner=Text.LOADING)
def load_classifier(folder: Path, version: tuple[int, int] | None) -> EmotionClassifier:
    """Load a version of a model once for all sessions of the server."""
    return EmotionClassifier.load(folder)


def show_scores(manifest: dict[str, Any]) -> None:
    """Put the UAR on unheard speakers beside that of a random split, where both are known."""
    found: dict[str, dict[str, Any]] = {}
    # Speech alone, where it was tested alone: that is what comes to this page.
    for record in sorted(manifest.get("metrics", []), key=lambda record: "song" in record["test"]):
        found.setdefault(record["protocol"], record)
    if not {"speaker", "random"} <= set(found):
        return
    with st.sidebar.container(key="scores"):
        st.markdown(f"**{Text.SCORES}**")
        unheard, known = st.columns(2)
        unheard.metric(Text.SPEAKER_SCORE, percent(found["speaker"]["uar"]), help=Text.SPEAKER_HINT)
        known.metric(Text.RANDOM_SCORE, percent(found["random"]["uar"]), help=Text.RANDOM_HINT)
        test, count = found["speaker"]["test"], len(found["speaker"]["emotions"])
        st.caption(plain(Text.SCORES_HINT.format(test=test, count=count)))


def ask_for_recordings() -> list[Recording]:
    """Return name and content of what is recorded and uploaded, the recording first."""
    upload, record = st.columns(2, gap="medium")
    files = upload.file_uploader(
        Text.UPLOAD,
        type=[*COMMON, *sorted(audio.EXTENSIONS.difference(COMMON))],
        accept_multiple_files=True,
        key="upload",
    )
    recorded = record.audio_input(Text.RECORD, sample_rate=48_000, key="record")
    megabytes, hours = st.get_option("server.maxUploadSize"), audio.MAX_SECONDS / 3600
    upload.caption(Text.UPLOAD_HINT.format(megabytes=megabytes, hours=hours))
    record.caption(Text.RECORD_HINT)
    st.caption(Text.PRIVACY)
    recordings = [(Text.RECORDED, recorded.getvalue())] if recorded else []
    return recordings + [(file.name, file.getvalue()) for file in files]


def show_emotions(labels: tuple[str, ...]) -> None:
    """Show the emotions in their colours, while there is nothing else to show."""
    with st.container(key="emotions", border=True):
        for column, (promise, meaning) in zip(st.columns(3), Text.PROMISES, strict=True):
            with column.container(gap="xxsmall"):
                st.markdown(f"**{promise}**")
                st.caption(meaning)
        st.markdown(f"**{Text.EMOTIONS}**")
        st.html(charts.legend(labels))


def judge(classifier: EmotionClassifier, recordings: list[Recording]) -> list[Answer]:
    """Return the answer about each recording, and show how much of the work is done."""
    judged = []
    count = len(recordings)
    bar = st.empty()

    def show(number: int, share: float) -> None:
        text = Text.PROGRESS.format(number=number, count=count) if count > 1 else None
        bar.progress((number - 1 + share) / count, text)

    with bar.spinner(Text.LISTENING, show_time=True):
        for number, (name, content) in enumerate(recordings, 1):
            answer = place_of_answer(classifier.manifest["files"], name, content)
            if not answer:
                if count > 1:
                    show(number, 0)
                file = io.BytesIO(content)
                file.name = name  # for the message
                try:
                    answer[:] = [classifier.classify(file, progress=partial(show, number))]
                except audio.AudioError as error:
                    answer[:] = [str(error)]
            judged += answer
    bar.empty()
    return judged


# Were the answer itself cached, Streamlit would draw its progress again at each rerun.
@st.cache_resource(max_entries=2000, show_spinner=False)
def place_of_answer(model: dict[str, str], name: str, content: bytes) -> list[Answer]:
    """Return the list, empty at first, that holds the answer about a recording for all sessions."""
    return []


def show_results(classifier: EmotionClassifier, recordings: list[Recording]) -> None:
    """Classify the recordings and show one in full; of several, in a table, one is chosen."""
    judged = judge(classifier, recordings)
    chosen = 0
    if len(recordings) > 1:
        chosen = show_overview([name for name, _ in recordings], judged, classifier.labels)
    show_recording(*recordings[chosen], judged[chosen])


def show_overview(names: list[str], judged: list[Answer], labels: tuple[str, ...]) -> int:
    """Show one row per recording and a download; return the number of the chosen row."""
    lines: list[tuple[str, str, float | None, str]] = []
    for name, result in zip(names, judged, strict=True):
        if isinstance(result, str):
            lines.append((name, Text.UNREADABLE, None, sentence(result.removeprefix(f"{name}: "))))
        else:
            sure, note = 100 * result.confidence, sentence(result.warning)
            lines.append((name, headline(result), sure, note))
    columns = [Text.FILE, Text.EMOTION, Text.CONFIDENCE, Text.NOTE]
    with st.container(key="overview"):
        st.subheader(Text.OVERVIEW.format(count=len(names)), anchor=False)
        st.caption(Text.OVERVIEW_HINT)
        state = st.dataframe(
            pd.DataFrame(lines, columns=columns),
            hide_index=True,
            column_config={
                Text.FILE: st.column_config.Column(width=170),
                Text.EMOTION: st.column_config.Column(width=170),
                Text.CONFIDENCE: st.column_config.ProgressColumn(
                    format="%.0f%%", min_value=0, max_value=100, width=120
                ),
                Text.NOTE: st.column_config.Column(width=190),
            },
            on_select="rerun",
            selection_mode="single-row-required",
            alt=Text.OVERVIEW_ALT,
            key="table",
        )
        st.download_button(
            Text.DOWNLOAD,
            csv(names, judged, labels),
            file_name="emotions.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="download",
        )
    rows = state.selection.rows
    return rows[0] if rows and rows[0] < len(names) else 0


def csv(names: list[str], judged: list[Answer], labels: tuple[str, ...]) -> str:
    """Return the results as the table that `test_model.py --output` writes."""
    rows = []
    for name, result in zip(names, judged, strict=True):
        file = Input(path=name, file=name)
        if isinstance(result, str):
            rows.append(results.failure(file, result))
        else:
            rows.append(results.success(file, result))
    return results.csv(results.table(rows, labels))


def show_recording(name: str, content: bytes, result: Answer) -> None:
    """Show all that is known of one recording."""
    if isinstance(result, str):
        st.error(plain(result), icon=":material/error:")
        return
    with st.container(key="recording", border=True):
        answer, bars = st.columns(2, gap="medium")
        with answer:
            st.html(charts.verdict(name, headline(result), details(result), result.emotion))
            st.audio(*playable(name, content), alt=Text.PLAYER)
            if result.warning:
                st.warning(plain(sentence(result.warning)), icon=":material/warning:")
        if result.emotion is not None:
            values = {emotion: percent(p) for emotion, p in result.probabilities.items()}
            bars.container(key="probabilities").altair_chart(
                charts.probability_chart(result.probabilities, values),
                alt=Text.PROBABILITIES.format(values=", ".join(map(" ".join, values.items()))),
            )
        with st.container(key="picture"):
            seconds, chart = picture(content)
            st.altair_chart(chart, alt=Text.PICTURE.format(seconds=seconds))
            st.caption(Text.PICTURE_HINT)


def details(prediction: Prediction) -> str:
    """Return how sure the answer is, and the runner-up."""
    if prediction.runner_up is None:
        return ""
    sure = Text.NOT_SURE_DETAIL if prediction.uncertain else Text.SURE
    first, second = prediction.confidence, prediction.probabilities[prediction.runner_up]
    runner_up = Text.RUNNER_UP.format(emotion=prediction.runner_up, percent=percent(second))
    return sentence(f"{sure.format(percent=percent(first))}, {runner_up}")


def headline(prediction: Prediction) -> str:
    """Return the answer in two or three words."""
    if prediction.emotion is None:
        return Text.NOTHING
    if prediction.uncertain:
        return Text.NOT_SURE.format(emotion=prediction.emotion)
    return sentence(prediction.emotion)


def playable(name: str, content: bytes) -> tuple[bytes, str]:
    """Return sound and media type for the browser's player."""
    media_type = PLAYABLE.get(Path(name).suffix.lower())
    return (content, media_type) if media_type else (as_wav(content), PLAYABLE[".wav"])


@st.cache_data(max_entries=4, show_spinner=False)
def as_wav(content: bytes) -> bytes:
    """Return a sound as WAV."""
    import soundfile

    wav = io.BytesIO()
    soundfile.write(wav, audio.load(content), audio.SAMPLE_RATE, format="WAV")
    return wav.getvalue()


@st.cache_data(max_entries=100, show_spinner=Text.DRAWING)
def picture(content: bytes) -> tuple[float, alt.VConcatChart]:
    """Return the length in seconds, and the picture of a recording."""
    waveform = audio.load(content)
    chart = charts.sound_chart(waveform, amplitude=Text.AMPLITUDE, frequency=Text.FREQUENCY)
    return len(waveform) / audio.SAMPLE_RATE, chart


def percent(share: float) -> str:
    """Return a share in words that claim neither certainty nor impossibility."""
    if share > 0.99:
        return "over 99%"
    if share < 0.01:
        return "under 1%"
    return f"{share:.0%}"


def sentence(text: str) -> str:
    """Return the text with a capital letter."""
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Return the text with everything escaped that Markdown would take for formatting."""
    return re.sub(r"[\\`*_\[\]<>$:~#|!]", r"\\\g<0>", text)


if __name__ == "__main__":
    main()
