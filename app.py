"""The page: upload or record a voice, see and hear which emotion it carries.

Start it with `make app` or `streamlit run app.py`. Sound becomes an answer in `classifier.py`; here
are only widgets, words and pictures. Audio stays in memory.
"""

import base64
import html
import io
import math
import re
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

import audio
import features
import results
from classifier import EmotionClassifier, ModelError, Prediction
from inputs import Input

MODEL_FOLDER = Path(__file__).parent / "model"
MODELS = {
    "frames": ("Course over time", "Follows the voice from moment to moment."),
    "vector": ("Average sound", "The original system: one average over the whole recording."),
}

# One colour per emotion, wherever it appears. Chosen so that any two of them differ by at least
# 0.12 in OKLab for normal, protanopic, deuteranopic and tritanopic eyes (simulated after Machado,
# Oliveira and Fernandes, 2009), and all are visible on the light and the dark page.
COLORS = {
    "angry": "#9c332b",
    "calm": "#02d3f5",
    "disgust": "#698f02",
    "fearful": "#633ac3",
    "happy": "#e9bb29",
    "neutral": "#a7a49c",
    "sad": "#0894fe",
    "surprised": "#ae6597",
}
COMMON = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".webm")  # named first
ICON_HEIGHTS = (4, 9, 14, 7, 12, 16, 10, 5)
OTHER_COLOR = "#a7a49c"  # of an emotion that only somebody's own model knows

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

PICTURE_COLUMNS = 1200  # of the spectrogram at most; the screen has no more
ENVELOPE_COLUMNS = 1200
PICTURE_BLOCK = 60 * audio.SAMPLE_RATE  # samples whose features are in memory at a time
DYNAMIC_RANGE = 80  # dB from the brightest to the darkest colour
QUIET = -20.0  # dB, the loudest band of a barely audible voice: what is below stays dark
TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)  # seconds between ticks
FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)  # Hz, ticks
TEXT_COLOR = "currentColor"  # the page's own, light or dark
WAVE_COLOR = "#7b8bb5"  # readable on the light and the dark page


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
    st.set_page_config(page_title=Text.TITLE, page_icon=icon())
    st.title(Text.TITLE, anchor=False)
    intro = st.empty()
    folder = choose_model()
    try:
        classifier = load_classifier(folder)
    except ModelError as error:
        st.error(plain(str(error)))
        st.stop()
    intro.markdown(Text.INTRO.format(count=len(classifier.labels)))
    show_scores(classifier.manifest)

    recordings = ask_for_recordings()
    if recordings:
        show_results(folder, recordings, classifier.labels)
    else:
        show_emotions(classifier.labels)
    with st.container(key="ethics"):
        st.caption(Text.ETHICS)


def icon() -> str:
    """Return the picture in the browser's tab, as SVG: a sound wave in the emotions' colours."""
    bars = "".join(
        f'<rect x="{4 * number}" y="{16 - height}" width="3" height="{2 * height}" fill="{color}"/>'
        for number, (color, height) in enumerate(zip(COLORS.values(), ICON_HEIGHTS, strict=True))
    )
    return f'<svg viewBox="0 0 32 32">{bars}</svg>'


def choose_model() -> str:
    """Return the folder of the model that is chosen in the sidebar."""
    name = st.sidebar.radio(
        Text.MODEL,
        list(MODELS),
        format_func=lambda name: MODELS[name][0],
        captions=[caption for _, caption in MODELS.values()],
        key="model",
    )
    return str(MODEL_FOLDER / name)


@st.cache_resource(show_spinner=Text.LOADING)
def load_classifier(folder: str) -> EmotionClassifier:
    """Load a model once for all sessions of the server."""
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


def ask_for_recordings() -> list[tuple[str, bytes]]:
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
    chips = "".join(
        f'<span style="white-space:nowrap">{dot(label)}{html.escape(label)}</span>'
        for label in labels
    )
    with st.container(key="emotions", border=True):
        for column, (promise, meaning) in zip(st.columns(3), Text.PROMISES, strict=True):
            with column.container(gap="xxsmall"):
                st.markdown(f"**{promise}**")
                st.caption(meaning)
        st.markdown(f"**{Text.EMOTIONS}**")
        st.html(f'<div style="display:flex;flex-wrap:wrap;gap:0.4rem 1.4rem">{chips}</div>')


def show_results(folder: str, recordings: list[tuple[str, bytes]], labels: tuple[str, ...]) -> None:
    """Classify the recordings and show one in full; of several, in a table, one is chosen."""
    judged = []
    progress = st.empty()
    for number, (name, content) in enumerate(recordings, 1):
        if len(recordings) > 1:
            text = Text.PROGRESS.format(number=number, count=len(recordings))
            progress.progress(number / len(recordings), text)
        judged.append(judge(folder, name, content))
    progress.empty()
    chosen = 0
    if len(recordings) > 1:
        chosen = show_overview([name for name, _ in recordings], judged, labels)
    show_recording(*recordings[chosen], judged[chosen])


@st.cache_data(max_entries=2000, show_spinner=Text.LISTENING, show_time=True)
def judge(folder: str, name: str, content: bytes) -> Prediction | str:
    """Return what the model says of a recording, or why it cannot be heard."""
    file = io.BytesIO(content)
    file.name = name  # for the message
    try:
        return load_classifier(folder).classify(file)
    except audio.AudioError as error:
        return str(error)


def show_overview(names: list[str], judged: list[Prediction | str], labels: tuple[str, ...]) -> int:
    """Show one row per recording and a download; return the number of the chosen row."""
    table = pd.DataFrame(
        {
            Text.FILE: names,
            Text.EMOTION: [headline(result) for result in judged],
            Text.CONFIDENCE: [
                None if isinstance(result, str) else 100 * result.confidence for result in judged
            ],
            Text.NOTE: [
                sentence(
                    result.removeprefix(f"{name}: ") if isinstance(result, str) else result.warning
                )
                for name, result in zip(names, judged, strict=True)
            ],
        }
    )
    with st.container(key="overview"):
        st.subheader(Text.OVERVIEW.format(count=len(names)), anchor=False)
        st.caption(Text.OVERVIEW_HINT)
        state = st.dataframe(
            table,
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


def csv(names: list[str], judged: list[Prediction | str], labels: tuple[str, ...]) -> str:
    """Return the results as the table that `test_model.py --output` writes."""
    rows = []
    for name, result in zip(names, judged, strict=True):
        file = Input(path=name, file=name)
        if isinstance(result, str):
            rows.append(results.failure(file, result))
        else:
            rows.append(results.success(file, result))
    return results.table(rows, labels).to_csv(index=False)


def show_recording(name: str, content: bytes, result: Prediction | str) -> None:
    """Show all that is known of one recording."""
    if isinstance(result, str):
        st.error(plain(result), icon=":material/error:")
        return
    with st.container(key="recording", border=True):
        answer, bars = st.columns(2, gap="medium")
        with answer:
            st.html(verdict(name, result))
            st.audio(*playable(name, content), alt=Text.PLAYER)
            if result.warning:
                st.warning(plain(sentence(result.warning)), icon=":material/warning:")
        if result.emotion is not None:
            values = ", ".join(f"{e} {percent(p)}" for e, p in result.probabilities.items())
            bars.container(key="probabilities").altair_chart(
                probability_chart(result.probabilities),
                alt=Text.PROBABILITIES.format(values=values),
            )
        with st.container(key="picture"):
            seconds, chart = picture(content)
            st.altair_chart(chart, alt=Text.PICTURE.format(seconds=seconds))
            st.caption(Text.PICTURE_HINT)


def verdict(name: str, prediction: Prediction) -> str:
    """Return the answer in words, as HTML."""
    details = []
    if prediction.emotion is not None:
        sure = Text.NOT_SURE_DETAIL if prediction.uncertain else Text.SURE
        details.append(sure.format(percent=percent(prediction.confidence)))
    if prediction.runner_up is not None:
        second = prediction.probabilities[prediction.runner_up]
        details.append(Text.RUNNER_UP.format(emotion=prediction.runner_up, percent=percent(second)))
    mark = "" if prediction.emotion is None else dot(prediction.emotion)
    answer = html.escape(headline(prediction))
    return (
        f'<div style="opacity:0.7;overflow-wrap:anywhere">{html.escape(name)}</div>'
        f'<h2 style="margin:0;padding:0.25rem 0" data-testid="emotion">{mark}{answer}</h2>'
        f'<div data-testid="confidence">{html.escape(sentence(", ".join(details)))}</div>'
    )


def headline(result: Prediction | str) -> str:
    """Return the answer in two or three words."""
    if isinstance(result, str):
        return Text.UNREADABLE
    if result.emotion is None:
        return Text.NOTHING
    if result.uncertain:
        return Text.NOT_SURE.format(emotion=result.emotion)
    return sentence(result.emotion)


def dot(emotion: str) -> str:
    """Return a dot in the emotion's colour, as HTML."""
    color = COLORS.get(emotion, OTHER_COLOR)
    return (
        '<span style="display:inline-block;width:0.65em;height:0.65em;margin-right:0.4em;'
        f'border-radius:50%;background:{color}"></span>'
    )


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


def probability_chart(probabilities: dict[str, float]) -> alt.LayerChart:
    """Return one bar per emotion, the most probable on top, each with its value."""
    emotions = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
    table = pd.DataFrame(
        {
            "emotion": emotions,
            "probability": [probabilities[emotion] for emotion in emotions],
            "value": [percent(probabilities[emotion]) for emotion in emotions],
            "color": [COLORS.get(emotion, OTHER_COLOR) for emotion in emotions],
        }
    )
    base = alt.Chart(table).encode(
        x=alt.X("probability", scale=alt.Scale(domain=[0, 1.12]), axis=None),
        y=alt.Y(
            "emotion",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelFontSize=13, labelColor=TEXT_COLOR),
        ),
        tooltip=["emotion", "value"],
    )
    bars = base.mark_bar(cornerRadiusEnd=3, height=16).encode(color=alt.Color("color", scale=None))
    values = base.mark_text(align="left", dx=6, fontSize=13, color=TEXT_COLOR).encode(text="value")
    return (bars + values).properties(height=26 * len(table))


@st.cache_data(max_entries=100, show_spinner=Text.DRAWING)
def picture(content: bytes) -> tuple[float, alt.VConcatChart]:
    """Return the length in seconds, and the waveform over the mel spectrogram on one time axis."""
    waveform = audio.load(content)
    seconds = len(waveform) / audio.SAMPLE_RATE
    peak = float(np.abs(waveform).max()) or 1.0
    scale = alt.Scale(domain=[0, seconds], nice=False)
    step = next((step for step in TIME_STEPS if seconds <= 8 * step), TIME_STEPS[-1])
    ticks = [step * number for number in range(int(seconds / step) + 1)]
    minutes = "floor(datum.value / 60) + ':' + format(datum.value % 60, '02d')"
    labels = minutes if step >= 10 else "datum.label + ' s'"
    wave = (
        alt.Chart(envelope(waveform))
        .mark_area(color=WAVE_COLOR, stroke=WAVE_COLOR, strokeWidth=0.5)
        .encode(
            x=alt.X("time:Q", scale=scale, axis=alt.Axis(values=ticks, labels=False, title=None)),
            y=alt.Y("low:Q", scale=alt.Scale(domain=[-peak, peak]), title=Text.AMPLITUDE),
            y2="high:Q",
        )
        .properties(height=110)
    )
    frequencies = mel_positions()
    hertz = " : ".join(f"datum.value == {height} ? '{hz}'" for hz, height in frequencies.items())
    mel = (
        alt.Chart(pd.DataFrame({"url": [spectrogram(waveform)]}))
        .mark_image(aspect=False)
        .encode(
            x=alt.XDatum(0, scale=scale, title=None, axis=alt.Axis(values=ticks, labelExpr=labels)),
            x2=alt.X2Datum(seconds),
            y=alt.YDatum(
                0,
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(
                    title=Text.FREQUENCY,
                    values=list(frequencies.values()),
                    labelExpr=f"{hertz} : ''",
                    labelOverlap=False,
                    grid=False,
                ),
            ),
            y2=alt.Y2Datum(1),
            url="url:N",
        )
        .properties(height=190)
    )
    return seconds, alt.vconcat(wave, mel, spacing=6)


def envelope(waveform: np.ndarray) -> pd.DataFrame:
    """Return lowest and highest sample of each of at most `ENVELOPE_COLUMNS` stretches of time."""
    columns = min(ENVELOPE_COLUMNS, len(waveform))
    edges = np.linspace(0, len(waveform), columns, endpoint=False).astype(int)
    return pd.DataFrame(
        {
            "time": edges / audio.SAMPLE_RATE,
            "low": np.minimum.reduceat(waveform, edges),
            "high": np.maximum.reduceat(waveform, edges),
        }
    ).round(4)


def spectrogram(waveform: np.ndarray) -> str:
    """Return the mel power in decibel as a picture (data URL): time to the right, pitch upwards."""
    from matplotlib import colormaps
    from PIL import Image

    step = math.ceil(len(waveform) / features.HOP_LENGTH / PICTURE_COLUMNS)  # frames per column
    block = features.HOP_LENGTH * step * math.ceil(PICTURE_BLOCK / features.HOP_LENGTH / step)
    columns = []
    for start in range(0, len(waveform), block):
        piece = waveform[start : start + block]
        frames = max(1, len(piece) // features.HOP_LENGTH)
        padded = np.pad(piece, (0, max(0, features.MIN_SAMPLES - len(piece))))
        mel = features.extract_frames(padded)[:frames, features.MEL]
        columns.append(np.maximum.reduceat(mel, range(0, frames, step)))
    power = np.concatenate(columns).T[::-1]
    decibel = 10 * np.log10(np.maximum(power, 1e-10))
    brightness = 1 + (decibel - max(decibel.max(), QUIET)) / DYNAMIC_RANGE
    png = io.BytesIO()
    Image.fromarray(colormaps["magma"](brightness.clip(0, 1), bytes=True)).save(png, "PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def mel_positions() -> dict[int, float]:
    """Return the height, from 0 to 1, of each of `FREQUENCIES` on the mel axis."""
    import librosa

    bands = librosa.mel_frequencies(n_mels=features.N_MELS + 2, fmax=audio.SAMPLE_RATE / 2)[1:-1]
    heights = (np.arange(features.N_MELS) + 0.5) / features.N_MELS
    return {hertz: round(float(np.interp(hertz, bands, heights)), 4) for hertz in FREQUENCIES}


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
