"""From sound to prediction: the one inference path."""

import copy
import io
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from conftest import ROOT, as_wav, make_model, speechlike, wav

import audio
import classifier
import corpora
import features
import gate
import leaning
import windows
from audio import SAMPLE_RATE, AudioError
from classifier import EmotionClassifier, Prediction, settle_pauses
from model_folder import ModelError


@pytest.fixture(scope="module")
def tiny(tiny_model) -> EmotionClassifier:
    return EmotionClassifier.load(tiny_model)


def assert_valid(prediction: Prediction) -> None:
    assert tuple(prediction.probabilities) == corpora.EMOTIONS
    values = list(prediction.probabilities.values())
    if prediction.emotion is None:
        assert values == [0.0] * 8
        assert (prediction.confidence, prediction.uncertain) == (0.0, True)
        assert prediction.warning
        assert prediction.runner_up is None
    else:
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert prediction.confidence == max(values) == prediction.probabilities[prediction.emotion]
        assert prediction.probabilities[prediction.runner_up] == sorted(values)[-2]


def test_path_bytes_and_file_give_the_same(tiny, tmp_path) -> None:
    file = tmp_path / "clip.wav"
    soundfile.write(file, speechlike(2.0), SAMPLE_RATE, subtype="FLOAT")
    expected = tiny.classify_waveform(speechlike(2.0))
    assert_valid(expected)
    assert tiny.classify(file) == tiny.classify(str(file)) == expected
    assert tiny.classify(file.read_bytes()) == expected
    assert tiny.classify(io.BytesIO(file.read_bytes())) == expected


@pytest.mark.parametrize("kind", ["frames", "vector"])
def test_litert_and_keras_agree(kind, tmp_path, monkeypatch) -> None:
    folder = make_model(tmp_path / kind, kind)
    litert = EmotionClassifier.load(folder).classify_waveform(speechlike(2.0))
    # An entry of None makes the import fail, as where LiteRT is not installed.
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with_keras = EmotionClassifier.load(folder).classify_waveform(speechlike(2.0))
    for emotion, probability in litert.probabilities.items():
        assert with_keras.probabilities[emotion] == pytest.approx(probability, abs=1e-4)


def test_without_either_runtime_it_says_so(tiny_model, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ModelError, match="pip install ai-edge-litert"):
        EmotionClassifier.load(tiny_model)


def test_another_feature_version_is_refused(tiny_model, monkeypatch) -> None:
    monkeypatch.setattr(classifier.features, "FEATURE_VERSION", 99)
    with pytest.raises(ModelError, match=r"version 1 of the features, this program .* version 99"):
        EmotionClassifier.load(tiny_model)


@pytest.mark.parametrize("seconds", [1.0, 30.0])
def test_silence_has_no_emotion(tiny, seconds) -> None:
    prediction = tiny.classify_waveform(np.zeros(round(seconds * SAMPLE_RATE), np.float32))
    assert_valid(prediction)
    assert prediction.emotion is None
    assert "silent" in prediction.warning


def test_too_short_is_said(tiny) -> None:
    nothing = tiny.classify_waveform(speechlike(0.1))
    assert nothing.emotion is None
    assert "too short: 0.10 s" in nothing.warning
    little = tiny.classify_waveform(speechlike(0.3))
    assert_valid(little)
    assert little.emotion is not None
    assert little.uncertain
    assert "too short: 0.30 s" in little.warning


def test_clipping_is_said(tiny) -> None:
    clipped = np.clip(50 * speechlike(1.0), -1, 1)
    assert "clipped" in tiny.classify_waveform(clipped).warning
    assert tiny.classify_waveform(speechlike(1.0)).warning == ""


def test_noise_is_said(tiny) -> None:
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    voice = speechlike(2.0)
    assert "noisy" in tiny.classify_waveform(voice + 0.1 * noise).warning
    assert tiny.classify_waveform(voice).warning == ""


def test_what_is_far_from_the_training_is_said(tiny_model) -> None:
    tiny = EmotionClassifier.load(tiny_model)
    clip = speechlike(2.0)
    nowhere = {"mean": np.zeros(40), "whitening": np.eye(40), "far": 1.0}
    frames = features.trim_silence(features.extract_frames(clip))
    averages = features.averages(frames)
    here = nowhere | {"mean": features.cepstral_mean(averages)}
    familiar, strange = (
        EmotionClassifier(tiny.manifest | {"familiar": corpora}, tiny._run).classify_waveform(clip)
        for corpora in ([nowhere, here], [nowhere])
    )
    assert familiar == tiny.classify_waveform(clip)  # of a model that does not know its corpora
    assert "unlike the recordings" in strange.warning
    assert strange.emotion == familiar.emotion
    assert strange.confidence < familiar.confidence

    sad = {"mean": averages, "std": np.ones(264), "weights": np.zeros((264, 8))}
    sad["bias"] = 99.0 * (np.array(corpora.EMOTIONS) == "sad")
    beside = tiny.manifest | {"familiar": [nowhere], "averages": sad}
    assert EmotionClassifier(beside, tiny._run).classify_waveform(clip).emotion == "sad"
    beside["familiar"] = [here]
    assert EmotionClassifier(beside, tiny._run).classify_waveform(clip) == familiar


def test_a_known_voice_does_not_make_a_recording_familiar(tiny_model, tmp_path) -> None:
    reference = tmp_path / "reference.wav"
    soundfile.write(reference, speechlike(9.0), SAMPLE_RATE)
    nowhere = {"mean": np.zeros(40), "whitening": np.eye(40), "far": 1.0}
    tiny = EmotionClassifier.load(tiny_model)
    elsewhere = EmotionClassifier(tiny.manifest | {"familiar": [nowhere]}, tiny._run)
    assert "unlike" in elsewhere.adapted_to([reference]).classify_waveform(speechlike(2.0)).warning


def saying(probabilities: list[float], usual: dict[str, list[float]]) -> EmotionClassifier:
    """A classifier that always gives the same answer."""
    manifest = {
        "labels": ["angry", "calm", "neutral", "sad"],
        "network": "frames",
        "usual": {name: np.log(share).tolist() for name, share in usual.items()},
    }
    return EmotionClassifier(manifest, lambda shown: np.array([probabilities] * len(shown)))


@pytest.mark.parametrize(
    ("always", "kind"),
    [
        ([0.2, 0.2, 0.3, 0.3], "quiet"),
        ([0.1, 0.7, 0.1, 0.1], "quiet"),
        ([0.1, 0.1, 0.7, 0.1], "quiet"),
        ([0.6, 0.1, 0.2, 0.1], "all"),
    ],
)
def test_of_a_known_voice_the_leaning_is_taken_off(always, kind, monkeypatch) -> None:
    """Where all of it is taken off, what a network always says becomes what is usual."""
    monkeypatch.setattr(leaning, "HALF_KNOWN_SECONDS", 0.0)
    monkeypatch.setattr(leaning, "SHARPENING", 0.0)
    usual = {"all": [0.3, 0.1, 0.3, 0.3], "quiet": [0.1, 0.4, 0.4, 0.1]}
    model = saying(always, usual)
    clip = speechlike(2.0, seed=1)
    before = model.classify_waveform(clip)
    adapted = model.adapted_to([wav(9.0)])
    probabilities = list(adapted.classify_waveform(clip).probabilities.values())
    np.testing.assert_allclose(probabilities, usual[kind], atol=1e-6)
    # The model itself stays as it was, and forgets one voice for another.
    assert model.classify_waveform(clip) == before != adapted.classify_waveform(clip)
    again = adapted.adapted_to([wav(9.0)])
    assert again.classify_waveform(clip) == adapted.classify_waveform(clip)


def test_the_more_is_heard_of_a_voice_the_more_is_taken_off() -> None:
    usual = {"all": [0.25] * 4, "quiet": [0.25] * 4}
    model = saying([0.7, 0.1, 0.1, 0.1], usual)
    clip = speechlike(2.0, seed=1)
    angry = [
        model.adapted_to([wav(9.0, seed=n) for n in range(count)])
        .classify_waveform(clip)
        .probabilities["angry"]
        for count in (1, 2, 20)
    ]
    assert 0.7 > angry[0] > angry[1] > angry[2] > 0.25


def test_a_known_voice_is_answered_more_surely(monkeypatch) -> None:
    usual = {"all": [0.4, 0.2, 0.2, 0.2], "quiet": [0.4, 0.2, 0.2, 0.2]}
    model = saying([0.4, 0.2, 0.2, 0.2], usual)  # no leaning
    adapted = model.adapted_to([wav(9.0)])
    clip = speechlike(2.0, seed=1)
    assert adapted.classify_waveform(clip).confidence > model.classify_waveform(clip).confidence
    monkeypatch.setattr(leaning, "SHARPENING", 0.0)
    assert adapted.classify_waveform(clip).confidence == pytest.approx(0.4)


@pytest.mark.parametrize("sounds", [[], [0.1 * np.random.default_rng(0).standard_normal(200_000)]])
def test_no_voice_no_reference(tiny, sounds) -> None:
    with pytest.raises(AudioError, match=r"holds 0\.0 s of voice; at least 5 s"):
        tiny.adapted_to([as_wav(sound.astype(np.float32)) for sound in sounds])


def test_a_model_of_before_knows_no_voices(tiny) -> None:
    manifest = {name: value for name, value in tiny.manifest.items() if name != "usual"}
    with pytest.raises(ModelError, match=r"Train it again with train\.py"):
        EmotionClassifier(manifest, tiny._run).adapted_to([wav(9.0)])


@pytest.mark.parametrize("kind", ["frames", "vector"])
def test_an_answer_can_be_had_step_by_step(kind, tmp_path) -> None:
    model = EmotionClassifier.load(make_model(tmp_path / kind, kind))
    clip = speechlike(2.0)
    frames = features.trim_silence(features.extract_frames(clip))
    for asked in (model, model.adapted_to([wav(9.0)])):
        expected = list(asked.classify_waveform(clip).probabilities.values())
        both = asked.probabilities(np.stack([asked.pooled(frames), asked.pooled(frames / 2)]))
        np.testing.assert_allclose(both[0], expected, atol=1e-6)
        assert np.abs(both[1] - expected).max() > 1e-4


def test_a_vector_model_of_before_pauses_were_left_out_hears_them(tmp_path) -> None:
    model = EmotionClassifier.load(make_model(tmp_path / "vector", "vector"))
    before = {name: value for name, value in model.manifest.items() if name != "pause_db"}
    frames = features.extract_frames(np.concatenate([speechlike(1.0), np.zeros(SAMPLE_RATE, "f4")]))
    np.testing.assert_array_equal(model.pooled(frames), [features.vector_of_sound(frames)])
    heard = EmotionClassifier(before, model._run).pooled(frames)
    np.testing.assert_array_equal(heard, [features.mean_vector(frames)])


def test_of_a_long_reference_the_beginning_counts(monkeypatch) -> None:
    monkeypatch.setattr(classifier, "MAX_REFERENCE_SECONDS", 6.0)
    model = EmotionClassifier.load(ROOT / "model" / "frames")
    voice = speechlike(6)
    one, longer = (
        model.adapted_to([as_wav(sound)])
        for sound in (voice, np.concatenate([voice, 3 * speechlike(6, seed=1)]))
    )
    np.testing.assert_array_equal(one._leaning.logs, longer._leaning.logs)
    assert one._leaning.share == longer._leaning.share


def test_uncertain_where_the_answer_is_more_likely_wrong(tiny) -> None:
    probabilities = np.array([0.49, 0.51, 0, 0, 0, 0, 0, 0])
    assert not tiny._prediction(probabilities, "").uncertain
    assert tiny._prediction(probabilities[::-1] * 0.9 + 0.0125, "").uncertain


def test_of_two_emotions_more_than_a_half_is_asked(tiny) -> None:
    two = copy.copy(tiny)
    two.labels = ("angry", "sad")
    assert two._prediction(np.array([0.26, 0.74]), "").uncertain
    assert not two._prediction(np.array([0.24, 0.76]), "").uncertain


def test_what_turns_out_to_be_a_pause_has_no_say(tiny) -> None:
    said = np.concatenate([0.015 * speechlike(4.5), speechlike(6.0, seed=1)])
    segments = list(tiny.stream_segments([said]))
    heard = [s.prediction for s in settle_pauses(segments) if s.prediction.emotion]
    assert 0 < len(heard) < len([s for s in segments if s.prediction.emotion])
    found = tiny.summarise(segments).probabilities
    for emotion in tiny.labels:
        expected = np.mean([prediction.probabilities[emotion] for prediction in heard])
        assert found[emotion] == pytest.approx(expected)


def test_a_recording_that_is_short_is_a_segment_with_that_answer(tiny) -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(round(0.3 * SAMPLE_RATE))
    clip = noise.astype(np.float32)
    (segment,) = tiny.classify_segments(clip)
    assert segment.prediction.emotion == tiny.classify_waveform(clip).emotion is not None
    assert "too short" in segment.prediction.warning


def test_clipping_downwards_is_clipping(tiny) -> None:
    voice = speechlike(1.0)
    voice *= 0.5 / np.abs(voice).max()
    voice[::800] = -1
    assert "clipped" in tiny.classify_waveform(voice).warning


def test_segments_cover_the_recording_and_pauses_are_pauses(tiny) -> None:
    pause = np.zeros(6 * SAMPLE_RATE, np.float32)
    recording = np.concatenate([speechlike(5.0), pause, speechlike(4.25, seed=1)])
    shares: list[float] = []
    segments = tiny.classify_segments(recording, progress=shares.append)
    assert segments[0].start == 0
    assert segments[-1].end == pytest.approx(15.25, abs=1e-4)
    for one, other in itertools.pairwise(segments):
        assert one.start < other.start <= one.end < other.end
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for segment in segments:
        assert_valid(segment.prediction)
        if segment.start > 5.2 and segment.end < 10.8:
            assert segment.prediction.emotion is None
    heard = [s for s in segments if s.prediction.emotion is not None]
    assert heard[0] is segments[0]
    assert heard[-1] is segments[-1]
    # A long recording as a whole is the mean of what was heard in it.
    whole = tiny.classify_waveform(recording)
    for emotion in corpora.EMOTIONS:
        mean = np.mean([s.prediction.probabilities[emotion] for s in heard])
        assert whole.probabilities[emotion] == pytest.approx(mean)


def test_a_long_recording_is_heard_while_it_is_read(tiny, tmp_path) -> None:
    """However it comes, in one piece or from a file, a recording has the same segments."""
    pause = np.zeros(4 * SAMPLE_RATE, np.float32)
    # A pause beside what follows, but the loudest sound so far.
    murmur = 0.015 * speechlike(4.0)
    recording = np.concatenate([murmur, pause, speechlike(61.0)])
    file = tmp_path / "long.wav"
    soundfile.write(file, recording, SAMPLE_RATE, subtype="FLOAT")
    heard = list(tiny.stream_segments(audio.stream(file, seconds=7)))
    expected = tiny.classify_segments(recording)
    assert heard[0].prediction.emotion is not None
    assert expected[0].prediction.emotion is None
    assert "a pause beside" in expected[0].prediction.warning
    for one, other in zip(settle_pauses(heard), expected, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        assert one.level == pytest.approx(other.level)
        assert one.prediction.emotion == other.prediction.emotion
        assert one.prediction.probabilities == pytest.approx(other.prediction.probabilities)

    shares: list[float] = []
    whole = tiny.classify(file, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    found = whole.probabilities
    assert found == pytest.approx(tiny.classify_waveform(recording).probabilities)
    assert found == pytest.approx(tiny.summarise(heard).probabilities)
    # Of what was stopped, the part that was heard has an answer, too.
    assert_valid(tiny.summarise(heard[:2]))


def test_a_segment_is_judged_by_the_frames_that_are_centred_in_it(tiny) -> None:
    recording = speechlike(8.0)
    window = list(windows.cut([recording]))[1]
    frames = features.combine(window.spectra)
    expected = tiny._judge(window.waveform, frames).probabilities
    assert tiny.classify_segments(recording)[1].prediction.probabilities == pytest.approx(expected)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_voice_in_half_a_window_is_a_voice(tiny, place) -> None:
    rng = np.random.default_rng(0)
    recording = 0.01 * rng.standard_normal(4 * windows.HOP).astype(np.float32)
    recording[place * windows.HOP :][: windows.HOP] += speechlike(windows.WINDOW_HOP_SECONDS)
    voices = [s.prediction.emotion is not None for s in tiny.classify_segments(recording)]
    assert voices == [place in (number, number + 1) for number in range(3)]


def test_of_two_windows_with_a_voice_one_half_is_listened_to(tiny, monkeypatch) -> None:
    heard = []
    find_voice = gate.find_voice
    monkeypatch.setattr(gate, "find_voice", lambda halves: heard.append(1) or find_voice(halves))
    assert len(tiny.classify_segments(speechlike(30.0))) == 19
    assert len(heard) == 10


def test_a_long_recording_carries_the_warning_of_most_segments(tiny) -> None:
    clipped = np.clip(50 * speechlike(12.0), -1, 1)
    assert "clipped" in tiny.classify_waveform(clipped).warning
    assert tiny.classify_waveform(speechlike(20.0)).warning == ""
    assert tiny.classify_waveform(np.concatenate([speechlike(20.0), clipped])).warning == ""


def test_an_offset_changes_nothing(tiny) -> None:
    for clip in (speechlike(2.0), speechlike(14.0)):
        expected = tiny.classify_waveform(clip)
        found = tiny.classify_waveform(clip + np.float32(0.05))
        assert found.probabilities == pytest.approx(expected.probabilities, abs=0.02)


@pytest.mark.parametrize("seconds", [0.05, 0.7, 3.0, 3.01, 4.5])
def test_short_recordings_have_segments_too(tiny, seconds) -> None:
    segments = tiny.classify_segments(speechlike(seconds))
    assert segments[0].start == 0
    assert segments[-1].end == pytest.approx(seconds, abs=1e-4)
    assert len(segments) == (1 if seconds <= 3 else 2)


def test_what_is_no_sound_is_an_audio_error(tiny, tmp_path) -> None:
    with pytest.raises(AudioError):
        tiny.classify(b"no sound at all")
    with pytest.raises(AudioError):
        tiny.classify(tmp_path / "missing.wav")
    for bad, word in (
        (np.full(SAMPLE_RATE, np.nan, np.float32), "NaN"),
        (np.full(2000, np.nan, np.float32), "NaN"),
        (np.zeros((2, SAMPLE_RATE), np.float32), "mono"),
        (np.zeros(SAMPLE_RATE, np.int16), "int16"),
    ):
        with pytest.raises(AudioError, match=word):
            tiny.classify_waveform(bad)
        with pytest.raises(AudioError, match=word):
            tiny.classify_segments(bad)


def test_threads_share_one_classifier(tiny) -> None:
    clips = [speechlike(1.0 + 0.3 * i, seed=i) for i in range(8)]
    expected = [tiny.classify_waveform(clip) for clip in clips]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tiny.classify_waveform, clips * 5))
    assert found == expected * 5


def test_the_shipped_model_hears_the_original_recordings(shared_data) -> None:
    """It was trained on these ten clips (as FLAC): this shows that the path is whole, no more."""
    shipped = EmotionClassifier.load(ROOT / "model" / "frames")
    right = 0
    clips = sorted((shared_data / "ravdess-original").glob("*.wav"))
    assert len(clips) == 10
    for file in clips:
        prediction = shipped.classify(file)
        assert_valid(prediction)
        right += prediction.emotion == corpora.parse_name(file).emotion
    assert right >= 9


def test_the_answer_comes_without_slow_imports_and_quietly(tiny_model, tmp_path) -> None:
    import subprocess

    file = tmp_path / "clip.wav"
    soundfile.write(file, speechlike(1.0), SAMPLE_RATE)
    program = (
        "import sys; from classifier import EmotionClassifier;"
        "EmotionClassifier.load(sys.argv[1]).classify(sys.argv[2]);"
        "slow = {'tensorflow', 'keras', 'sklearn', 'librosa', 'scipy', 'pandas'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, tiny_model, file], cwd=ROOT, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "[]\n", "")
