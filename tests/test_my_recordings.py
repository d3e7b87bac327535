"""Clips that people labelled: what is written, what is not, and that training reads it."""

import hashlib
import io
import os
import threading
import time

import numpy as np
import pytest
import soundfile
from conftest import speechlike
from hypothesis import given
from hypothesis import strategies as some

import audio
import corpora
import files
import inputs
import limits
import my_recordings
from my_recordings import NotKeptError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(my_recordings, "FOLDER", tmp_path / "data" / corpora.OWN)
    return my_recordings.FOLDER


def wav(seconds: float = 1.0, *, seed: int = 0, level: float = 1.0) -> bytes:
    file = io.BytesIO()
    waveform = level * speechlike(seconds, seed=seed)
    soundfile.write(file, waveform, audio.SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def test_what_is_kept_is_what_training_and_the_command_read(folder, caplog):
    my_recordings.keep(wav(seed=1), voice="Alice", emotion="angry")
    my_recordings.keep(wav(seed=2), voice="Bob B.", emotion="calm")
    for source in (folder, folder.parent):  # alone, and among corpora
        table = corpora.scan(source)
        assert sorted(zip(table.emotion, table.speaker, strict=True)) == [
            ("angry", "alice"),
            ("calm", "bob-b"),
        ]
        assert set(table.corpus) == {corpora.OWN}
    assert sorted(sound.label for sound in inputs.collect([str(folder)])) == ["angry", "calm"]
    assert not caplog.records


def test_the_sound_that_is_kept_is_the_one_that_was_heard(folder):
    content = wav(2)
    whole = my_recordings.keep(content, voice="a", emotion="sad")
    heard = audio.load(content)
    np.testing.assert_allclose(audio.load(whole.file), heard, atol=1e-4)
    piece = my_recordings.keep(content, voice="a", emotion="happy", start=0.5, end=1.25)
    rate = audio.SAMPLE_RATE
    stretch = audio.without_offset(heard[rate // 2 : round(1.25 * rate)])
    np.testing.assert_allclose(audio.load(piece.file), stretch, atol=1e-3)
    assert (piece.stretch, whole.stretch) == ((0.5, 1.25), None)
    assert piece.recording == whole.recording == hashlib.sha256(content).hexdigest()[:16]


def test_a_sound_over_full_scale_is_not_clipped(folder):
    content = wav(level=20)
    kept = audio.load(my_recordings.keep(content, voice="a", emotion="angry").file)
    heard = audio.load(content)
    np.testing.assert_allclose(kept * np.abs(heard).max(), heard, atol=1e-3)


def test_the_same_clip_twice_is_one_and_the_last_label_counts(folder):
    content = wav()
    my_recordings.keep(content, voice="alice", emotion="angry")
    my_recordings.keep(content, voice="alice", emotion="angry")
    assert len(my_recordings.clips()) == 1
    again = my_recordings.keep(content, voice="bob", emotion="sad")
    assert my_recordings.clips() == [again]
    digest = hashlib.sha256(content).hexdigest()
    assert my_recordings.find(digest) == again
    assert my_recordings.find(digest, start=0.0, end=1.0) is None
    assert len(list(folder.iterdir())) == 1


def test_a_crash_while_writing_leaves_no_clip(folder, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(my_recordings.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        my_recordings.keep(wav(), voice="alice", emotion="angry")
    assert not list(folder.iterdir())


def test_what_a_killed_page_left_unfinished_is_no_clip(folder):
    kept = my_recordings.keep(wav(), voice="alice", emotion="angry")
    (folder / f".{kept.recording}.123.part").write_bytes(b"half")
    (folder / "notes.flac").write_bytes(kept.file.read_bytes())  # not a name of ours
    assert my_recordings.clips() == [kept]


def test_deleted_is_deleted_also_twice(folder):
    kept = my_recordings.keep(wav(), voice="alice", emotion="angry")
    my_recordings.delete([kept])
    my_recordings.delete([kept])
    assert my_recordings.clips() == []
    assert not list(folder.iterdir())


def test_before_anything_is_kept_there_is_no_folder(folder):
    assert my_recordings.clips() == []
    assert my_recordings.find("0" * 64) is None
    assert not folder.exists()


@pytest.mark.parametrize(("seconds", "found"), [(0.2, "0.2 s"), (3, "more than 2 s")])
def test_too_short_or_too_long_is_refused(seconds, found, folder, monkeypatch):
    monkeypatch.setattr(limits, "KEPT_SECONDS", 2)
    with pytest.raises(NotKeptError, match=rf"lasts {found}; 0.5 to 2 s"):
        my_recordings.keep(wav(seconds), voice="alice", emotion="angry")
    assert not folder.exists()


def test_no_sound_is_refused(folder):
    with pytest.raises(audio.AudioError, match="no sound found"):
        my_recordings.keep(b"Remember the milk.", voice="alice", emotion="angry")
    assert not folder.exists()


@given(some.text())
def test_no_name_leaves_the_folder_or_breaks_the_layout(text):
    try:
        name = my_recordings.name(text)
    except NotKeptError:
        return
    clip = corpora.parse_name(f"{name}_sad_{'0' * 16}.flac")
    assert clip == ("sad", name, corpora.OWN, "speech")
    assert len(name) <= my_recordings.MAX_NAME
    assert my_recordings.name(name) == name


@pytest.mark.parametrize(
    ("text", "name"), [("Zoë  Müller", "zoe-muller"), ("../../etc", "etc"), ("A_1", "a-1")]
)
def test_a_name_is_made_fit_for_a_file(text, name):
    assert my_recordings.name(text) == name


@pytest.mark.parametrize("text", ["", "…", "李"])
def test_a_name_of_which_nothing_is_left_is_refused(text):
    with pytest.raises(NotKeptError, match="no letter from a to z"):
        my_recordings.name(text)


def test_a_file_that_was_renamed_says_what_its_name_says(folder):
    kept = my_recordings.keep(wav(2), voice="alice", emotion="sad")
    kept.file.rename(kept.file.with_name(f"Alice_Angry_{kept.recording}.flac"))
    (renamed,) = my_recordings.clips()
    assert (renamed.voice, renamed.emotion) == ("alice", "angry")
    assert renamed.recording == kept.recording
    assert my_recordings.recordings([f"alice/angry_{kept.recording}.wav"]) == [kept.recording]


def test_of_a_long_stretch_no_more_is_decoded_than_may_be_kept(folder, monkeypatch):
    asked = []

    def load_part(content, start, end):
        asked.append((start, end))
        return np.zeros(round((end - start) * audio.SAMPLE_RATE))

    monkeypatch.setattr(audio, "load_part", load_part)
    with pytest.raises(NotKeptError, match="more than 300 s"):
        my_recordings.keep(wav(2), voice="alice", emotion="sad", start=60.0, end=14_400.0)
    ((start, end),) = asked
    assert start == 60.0
    assert end == pytest.approx(60.0 + limits.KEPT_SECONDS, abs=1e-3)


def test_a_manifest_lists_recordings_of_ours_alone(folder):
    content = wav(2)
    whole = my_recordings.keep(content, voice="alice", emotion="angry")
    piece = my_recordings.keep(content, voice="alice", emotion="sad", start=0.0, end=1.0)
    paths = [str(whole.file), str(piece.file), "ravdess/03-01-05-01-01-01-01.wav", "mine/sad/a.wav"]
    assert my_recordings.recordings(paths) == [whole.recording]


def test_what_a_killed_process_left_of_a_voice_does_not_stay(folder):
    kept = my_recordings.keep(wav(), voice="alice", emotion="angry")
    (folder / f".{kept.file.name}.123.part").write_bytes(b"half")
    my_recordings.keep(wav(seed=1), voice="alice", emotion="sad")
    assert not list(folder.glob(".*"))


def test_the_newest_clip_comes_first(folder):
    older = my_recordings.keep(wav(), voice="a", emotion="angry")
    newer = my_recordings.keep(wav(seed=1), voice="b", emotion="sad")
    os.utime(older.file, (1, 1))
    assert my_recordings.clips() == [newer, older]


def test_one_clip_is_kept_after_the_other(folder, caplog):
    with files.alone(folder.with_name(f".{folder.name}.lock")):
        keeping = threading.Thread(
            target=my_recordings.keep,
            args=(wav(),),
            kwargs={"voice": "a", "emotion": "sad"},
            daemon=True,
        )
        keeping.start()
        while "is being kept" not in caplog.text:
            assert keeping.is_alive()
            time.sleep(0.01)
        assert not list(folder.glob("*"))
    keeping.join()
    assert len(my_recordings.clips()) == 1
