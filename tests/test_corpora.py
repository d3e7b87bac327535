import logging
import os
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpora
from corpora import (
    EMOTIONS,
    Clip,
    CorpusError,
    parse_emotion,
    parse_folders,
    parse_name,
    read_list,
    scan,
    sex,
)

COLUMNS = ["path", "emotion", "speaker", "corpus", "channel"]


def make(path: Path, *, sound: int | None = None) -> Path:
    """Write a tenth of a second of noise: its own for each path, or that of a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = list(path.as_posix().encode()) if sound is None else sound
    samples = np.random.default_rng(seed).integers(-9999, 9999, 800, dtype="<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


def rows(folder: Path, *sources: Path) -> dict[str, tuple[str, ...]]:
    """What scan finds: path below the folder -> the other columns."""
    table = scan(*(sources or (folder,)))
    assert list(table.columns) == COLUMNS
    return {
        Path(path).relative_to(folder).as_posix(): tuple(others)
        for path, *others in table.itertuples(index=False)
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("03-01-06-01-02-01-12.wav", ("fearful", "RAVDESS-12", "RAVDESS", "speech")),
        ("x/Actor_24/03-02-02-02-01-02-24.FLAC", ("calm", "RAVDESS-24", "RAVDESS", "song")),
        ("01-01-01-01-02-01-02.mp4", ("neutral", "RAVDESS-02", "RAVDESS", "speech")),
        ("1001_DFA_ANG_XX.wav", ("angry", "CREMA-D-1001", "CREMA-D", "speech")),
        ("1091_IEO_HAP_HI.opus", ("happy", "CREMA-D-1091", "CREMA-D", "speech")),
        ("1040_ITH_SAD_X.wav", ("sad", "CREMA-D-1040", "CREMA-D", "speech")),
        ("OAF_back_angry.wav", ("angry", "TESS-OAF", "TESS", "speech")),
        ("OAF_Fear/OAF_back_fear.wav", ("fearful", "TESS-OAF", "TESS", "speech")),
        ("YAF_wheat_ps.wav", ("surprised", "TESS-YAF", "TESS", "speech")),
        ("OA_bite_neutral.wav", ("neutral", "TESS-OAF", "TESS", "speech")),
        ("DC_a01.wav", ("angry", "SAVEE-DC", "SAVEE", "speech")),
        ("DC/sa15.wav", ("sad", "SAVEE-DC", "SAVEE", "speech")),
        ("AudioData/KL/su01.wav", ("surprised", "SAVEE-KL", "SAVEE", "speech")),
        ("03a01Fa.wav", ("happy", "EMO-DB-03", "EMO-DB", "speech")),
        ("wav/16b10Wb.wav", ("angry", "EMO-DB-16", "EMO-DB", "speech")),
        ("08a02Ab.wav", ("fearful", "EMO-DB-08", "EMO-DB", "speech")),
        ("08a02Td.wav", ("sad", "EMO-DB-08", "EMO-DB", "speech")),
        ("08a02Eb.wav", ("disgust", "EMO-DB-08", "EMO-DB", "speech")),
    ],
)
def test_names_of_known_corpora(path, expected):
    assert parse_name(path) == Clip(*expected)


@pytest.mark.parametrize(
    "path",
    [
        "clip.wav",
        "03-01-09-01-02-01-12.wav",  # no ninth emotion
        "03-01-06-01-02-01-25.wav",  # no 25th actor
        "02-01-06-01-02-01-12.mp4",  # film without sound
        "03-01-06-01-02-01-12-copy.wav",
        "a01.wav",  # SAVEE without the speaker
        "XX/a01.wav",
        "03a01La.wav",  # EMO-DB's boredom
        "1001_DFA_XYZ_XX.wav",
        "",
    ],
)
def test_other_names_are_no_clips(path):
    assert parse_name(path) is None


@given(st.text())
def test_any_name_is_read_without_error(name):
    clip = parse_name(name.replace("\0", ""))
    assert clip is None or clip.emotion in EMOTIONS


@pytest.mark.parametrize(
    ("word", "emotion"),
    [
        ("Anger", "angry"),
        ("01_joy", "happy"),
        ("Pleasant Surprise", "surprised"),
        ("FEAR", "fearful"),
    ]
    + [(emotion, emotion) for emotion in EMOTIONS]
    + [("boredom", None), ("", None), ("speech", None), ("sadie", None)],
)
def test_words_for_emotions(word, emotion):
    assert parse_emotion(word) == emotion


def test_emotion_of_folders():
    assert parse_folders("alice/angry/clip.wav") == "angry"
    assert parse_folders("anger/angry/clip.wav") == "angry"
    assert parse_folders("alice/angry.wav") is None
    with pytest.raises(CorpusError, match="angry and happy"):
        parse_folders("joy/angry/clip.wav")


def test_corpora_mixed_in_one_folder_are_told_apart(tmp_path):
    make(tmp_path / "ravdess/Audio_Song_Actors_01-24/Actor_05/03-02-03-01-01-01-05.wav")
    make(tmp_path / "flat/03-01-08-01-01-01-05.wav")
    make(tmp_path / "flat/1002_DFA_DIS_XX.wav")
    make(tmp_path / "TESS/OAF_Pleasant_surprise/OAF_back_ps.wav")
    make(tmp_path / "savee/JK/f03.wav")
    make(tmp_path / "emodb/wav/10b02Na.WAV")
    (tmp_path / "flat/notes.txt").write_text("no audio")
    assert rows(tmp_path) == {
        "TESS/OAF_Pleasant_surprise/OAF_back_ps.wav": ("surprised", "TESS-OAF", "TESS", "speech"),
        "emodb/wav/10b02Na.WAV": ("neutral", "EMO-DB-10", "EMO-DB", "speech"),
        "flat/03-01-08-01-01-01-05.wav": ("surprised", "RAVDESS-05", "RAVDESS", "speech"),
        "flat/1002_DFA_DIS_XX.wav": ("disgust", "CREMA-D-1002", "CREMA-D", "speech"),
        "ravdess/Audio_Song_Actors_01-24/Actor_05/03-02-03-01-01-01-05.wav": (
            "happy",
            "RAVDESS-05",
            "RAVDESS",
            "song",
        ),
        "savee/JK/f03.wav": ("fearful", "SAVEE-JK", "SAVEE", "speech"),
    }


def test_table_is_sorted_text_and_the_same_for_overlapping_sources(tmp_path):
    for name in ("b/DC_a01.wav", "a/DC_a02.wav", "c/DC_a03.wav"):
        make(tmp_path / name)
    table = scan(tmp_path)
    assert list(table["path"]) == sorted(table["path"])
    assert all(isinstance(value, str) for value in table.to_numpy().ravel())
    assert table.equals(scan(str(tmp_path / "b"), tmp_path))


@pytest.mark.parametrize(
    ("corpus", "women", "men"),
    [
        ("RAVDESS", [f"{actor:02d}" for actor in range(2, 25, 2)], ["01", "23"]),
        ("CREMA-D", ["1002", "1091"], ["1001", "1090"]),
        ("TESS", ["OAF", "YAF"], []),
        ("SAVEE", [], ["DC", "JE", "JK", "KL"]),
        ("EMO-DB", ["08", "16"], ["03", "15"]),
    ],
)
def test_women_and_men_of_the_known_corpora(corpus, women, men):
    assert {sex(f"{corpus}-{speaker}") for speaker in women} <= {"women"}
    assert {sex(f"{corpus}-{speaker}") for speaker in men} <= {"men"}
    assert sex(f"{corpus}-ann") is None


def test_crema_d_has_43_women_and_48_men():
    found = [sex(f"CREMA-D-{speaker}") for speaker in range(1000, 1093)]
    assert (found.count("women"), found.count("men"), found.count(None)) == (43, 48, 2)


def test_savee_is_recognised_from_within_the_folder_of_a_speaker(tmp_path, monkeypatch):
    make(tmp_path / "DC/a01.wav")
    assert list(scan(tmp_path / "DC")["speaker"]) == ["SAVEE-DC"]
    monkeypatch.chdir(tmp_path / "DC")
    assert list(scan(".")["speaker"]) == ["SAVEE-DC"]


@pytest.mark.parametrize(
    "layout", ["{emotion}/{who}/1.wav", "{who}/{emotion}/1.wav", "{who}/day 2/{emotion}/1.wav"]
)
def test_folder_beside_the_emotion_names_the_speaker(tmp_path, layout):
    for emotion, who in [("Anger", "Alice"), ("joy", "alice"), ("joy", "bob")]:
        make(tmp_path / "mine" / layout.format(emotion=emotion, who=who))
    table = scan(tmp_path / "mine")
    assert sorted(table["speaker"] + " " + table["emotion"]) == [
        "alice angry",
        "alice happy",
        "bob happy",
    ]
    assert set(table["corpus"]) == {"mine"}


def test_a_person_in_two_sources_of_ones_own_is_one_voice(tmp_path):
    make(tmp_path / "monday/angry/Alice/1.wav")
    make(tmp_path / "tuesday/sad/alice/2.wav")
    make(tmp_path / "my_recordings/alice_happy_0f3c9a417b2e5d68.flac")
    table = scan(*(tmp_path / name for name in ("monday", "tuesday", "my_recordings")))
    assert list(table["speaker"]) == ["alice"] * 3
    assert table["corpus"].nunique() == 3


def test_a_name_that_is_not_utf_8_is_left_out(tmp_path, caplog):
    make(tmp_path / "mine/sad/bob/1.wav")
    strange = tmp_path / os.fsdecode(b"mine/sad/bob/caf\xe9.wav")
    try:
        make(strange, sound=1)
    except OSError:
        pytest.skip("no such names on this disk")
    assert [Path(path).name for path in scan(tmp_path / "mine")["path"]] == ["1.wav"]
    assert "its name is not UTF-8; rename it" in caplog.text


def test_clips_without_a_speaker_make_their_corpus_one_speaker(tmp_path, caplog):
    make(tmp_path / "mine/angry/1.wav")
    make(tmp_path / "mine/sad/alice/1.wav")
    make(tmp_path / "mine/DC_a01.wav")
    assert rows(tmp_path / "mine") == {
        "DC_a01.wav": ("angry", "SAVEE-DC", "SAVEE", "speech"),
        "angry/1.wav": ("angry", "mine-unknown", "mine", "speech"),
        "sad/alice/1.wav": ("sad", "mine-unknown", "mine", "speech"),
    }
    assert "mine counts as one speaker: no name is known of 1 of its clips" in caplog.text


def test_folders_of_one_emotion_each_are_one_corpus(tmp_path):
    make(tmp_path / "mine/angry/1.wav")
    make(tmp_path / "mine/sad/alice/1.wav")
    assert rows(tmp_path, tmp_path / "mine/angry", tmp_path / "mine/sad") == {
        "mine/angry/1.wav": ("angry", "mine-unknown", "mine", "speech"),
        "mine/sad/alice/1.wav": ("sad", "mine-unknown", "mine", "speech"),
    }


def test_folder_of_a_person_named_like_an_emotion_is_asked_about(tmp_path):
    make(tmp_path / "Joy/angry/1.wav")
    with pytest.raises(CorpusError, match="rename a folder"):
        scan(tmp_path)


def test_list_with_byte_order_mark_semicolons_and_synonyms(tmp_path):
    make(tmp_path / "sounds/1.wav")
    make(tmp_path / "sounds/2.wav")
    text = '"My; file";Speaker;Emotion\n\nsounds/1.wav;Ann;Anger\nsounds/2.wav;Bob; happiness \n'
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8-sig")
    assert rows(tmp_path, tmp_path / "mine.csv") == {
        "sounds/1.wav": ("angry", "ann", "mine", "speech"),
        "sounds/2.wav": ("happy", "bob", "mine", "speech"),
    }


def test_list_without_speakers_is_one_speaker_but_known_names_keep_theirs(tmp_path):
    make(tmp_path / "1.wav")
    make(tmp_path / "03-02-05-01-01-01-07.wav")
    text = "path,emotion\n1.wav,sad\n03-02-05-01-01-01-07.wav,fear\n"
    (tmp_path / "mine.csv").write_text(text)
    assert rows(tmp_path, tmp_path / "mine.csv") == {
        "1.wav": ("sad", "mine-unknown", "mine", "speech"),
        "03-02-05-01-01-01-07.wav": ("fearful", "RAVDESS-07", "RAVDESS", "song"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n1.wav,sad\n", r"columns \['path', 'label'\].*emotion expected"),
        ("emotion,path\nsad,1.wav\n", "first path"),
        ("path,emotion\n1.wav,sad\n1.wav,bored\n", r"row 3: emotion 'bored' found.*'angry'"),
        ("path,emotion\n1.wav,\n", "row 2: emotion '' found"),
        ("path,emotion\n1.wav\n", "row 2"),
        ("path,emotion\n1.wav,sad,x\n", "row 2"),
        ("path,emotion\n,sad\n", "row 2"),
        ("path,emotion,speaker\n1.wav,sad,ann\n1.wav,sad,\n", "row 3"),
        ("path,emotion\n", "lists no clips"),
        ("", "lists no clips"),
        ("path,emotion\nb\xe4r.wav,sad\n", "UTF-8"),
    ],
)
def test_list_with_a_mistake_says_where_and_what_is_expected(tmp_path, text, message):
    make(tmp_path / "1.wav")
    (tmp_path / "mine.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorpusError, match=message) as error:
        scan(tmp_path / "mine.csv")
    assert "mine.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_list_may_be_read_without_labels(tmp_path):
    (tmp_path / "a.csv").write_text("path\nx/1.wav\n2.wav\n")
    (tmp_path / "b.csv").write_text("path,emotion\nx/1.wav,\n2.wav,joy\n")
    first, second = tmp_path / "x/1.wav", tmp_path / "2.wav"
    assert read_list(tmp_path / "a.csv", labelled=False) == [(first, "", ""), (second, "", "")]
    assert read_list(tmp_path / "b.csv", labelled=False) == [(first, "", ""), (second, "happy", "")]


@pytest.mark.parametrize("others", [True, False])
def test_a_folder_that_may_not_be_read_is_said(tmp_path, caplog, monkeypatch, others):
    for person in ("bob", "alice") if others else ("bob",):
        make(tmp_path / "mine/angry" / person / "1.wav")
    scandir = os.scandir

    def refuse(folder):  # chmod would not stop root
        if os.path.basename(folder) == "bob":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    said = r"bob, which cannot be read \(Permission denied\)"
    if others:
        assert len(scan(tmp_path / "mine")) == 1
        assert re.search(said, caplog.text)
    else:
        with pytest.raises(CorpusError, match=said):
            scan(tmp_path / "mine")


def test_boredom_is_left_out_and_counted(tmp_path, caplog):
    for name in ("03a01La.wav", "03a02La.wav", "03a01Fa.wav"):
        make(tmp_path / name)
    assert list(rows(tmp_path)) == ["03a01Fa.wav"]
    assert "left out 2 audio files of boredom" in caplog.text


def test_audio_without_a_label_is_left_out_and_counted(tmp_path, caplog):
    for name in (
        "rain/1.wav",
        "rain/2.wav",
        "DC_a01.wav",
        "__MACOSX/._DC_a01.wav",
        ".tmp/DC_a02.wav",
    ):
        make(tmp_path / name)
    assert list(rows(tmp_path)) == ["DC_a01.wav"]
    assert "left out 2 audio files without an emotion in name or folder" in caplog.text


def test_same_sound_under_two_labels_is_dropped_under_both(tmp_path, caplog):
    make(tmp_path / "DC_a01.wav", sound=1)
    make(tmp_path / "DC_h01.wav", sound=1)
    make(tmp_path / "DC_h02.wav", sound=2)
    assert list(rows(tmp_path)) == ["DC_h02.wav"]
    assert caplog.text.count("the same sound is labelled ['angry', 'happy']") == 2


def test_one_recording_in_two_formats_with_two_labels_is_dropped(tmp_path, caplog):
    make(tmp_path / "DC_a01.wav")
    make(tmp_path / "DC_h02.wav")
    make(tmp_path / "more/DC_a01.flac")
    (tmp_path / "mine.csv").write_text("path,emotion\nmore/DC_a01.flac,sad\n")
    found = rows(tmp_path, tmp_path, tmp_path / "mine.csv")
    assert list(found) == ["DC_h02.wav"]


def test_copies_count_once(tmp_path, caplog):
    make(tmp_path / "a/03-01-05-01-01-01-01.wav", sound=1)
    make(tmp_path / "a/03-01-05-01-01-02-01.wav", sound=1)  # the same bytes
    make(tmp_path / "b/03-01-05-01-01-01-01.flac", sound=2)  # the same recording
    make(tmp_path / "b/01-01-05-01-01-01-01.mp4", sound=3)  # its film
    assert list(rows(tmp_path)) == ["a/03-01-05-01-01-01-01.wav"]
    assert len(caplog.records) == 2
    assert "copies left out: 2" in caplog.text


def test_repeated_names_of_own_recordings_are_no_copies(tmp_path):
    make(tmp_path / "RAVDESS/angry/1.wav")
    make(tmp_path / "RAVDESS/sad/1.wav")
    assert len(scan(tmp_path / "RAVDESS")) == 2


def test_known_faults_of_crema_d_are_dropped_by_name(tmp_path, caplog):
    for name in ("1076_MTI_SAD_XX", "1006_TIE_NEU_XX", "1006_TIE_HAP_XX", "1006_TIE_SAD_XX"):
        make(tmp_path / f"{name}.wav")
    assert list(rows(tmp_path)) == ["1006_TIE_SAD_XX.wav"]
    assert "1076_MTI_SAD_XX.wav left out: digital silence" in caplog.text
    assert caplog.text.count("the same sound with another label") == 2


def test_empty_missing_and_forbidden_files_are_dropped(tmp_path, caplog, monkeypatch):
    make(tmp_path / "DC_a01.wav")
    (tmp_path / "DC_a02.wav").touch()
    forbidden = str(make(tmp_path / "DC_a03.wav"))
    (tmp_path / "mine.csv").write_text("path,emotion\nmissing.wav,sad\n")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != forbidden and access(path, mode))
    assert list(rows(tmp_path, tmp_path, tmp_path / "mine.csv")) == ["DC_a01.wav"]
    assert caplog.text.count("empty or not readable") == 2
    assert "missing.wav left out: does not exist" in caplog.text


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    make(tmp_path / "elsewhere/DC_a01.wav")
    (tmp_path / "data").mkdir()
    try:
        (tmp_path / "data/savee").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    (tmp_path / "elsewhere/loop").symlink_to(tmp_path / "data", target_is_directory=True)
    assert list(rows(tmp_path, tmp_path / "data")) == ["data/savee/DC_a01.wav"]


def test_folder_without_audio_says_what_is_looked_for(tmp_path):
    with pytest.raises(CorpusError, match=r"no audio file.*03-01-06-01-02-01-12\.wav.*angry/clip"):
        scan(tmp_path)


def test_folder_without_labels_shows_what_it_holds(tmp_path):
    make(tmp_path / "rain/1.wav")
    with pytest.raises(CorpusError, match=r"1 audio files without.*1\.wav.*1001_DFA_ANG_XX\.wav"):
        scan(tmp_path)


def test_source_that_is_not_there(tmp_path):
    with pytest.raises(CorpusError, match=r"nowhere does not exist; a folder"):
        scan(tmp_path / "nowhere")
    make(tmp_path / "DC_a01.wav")
    with pytest.raises(CorpusError, match=r"DC_a01\.wav is a file; a folder or a \.csv list"):
        scan(tmp_path / "DC_a01.wav")


def test_people_below_one_folder_count_as_one_and_it_is_said(tmp_path, caplog):
    for number, place in enumerate(("angry/alice", "angry/bob", "sad/alice")):
        make(tmp_path / "all/mine" / place / "1.wav", sound=number)
    assert set(scan(tmp_path / "all").speaker) == {"mine"}
    assert "all/mine counts as one speaker; if it holds several (alice, bob)" in caplog.text
    caplog.clear()
    assert set(scan(tmp_path / "all/mine").speaker) == {"alice", "bob"}
    assert not caplog.records


def test_nothing_usable(tmp_path):
    (tmp_path / "DC_a02.wav").touch()
    with pytest.raises(CorpusError, match="no usable clip"):
        scan(tmp_path)


def test_all_of_ravdess(shared_data, caplog):
    table = scan(shared_data / "ravdess")
    # One clip of actor 7 stands twice in the published corpus, as repetition 1 and 2.
    assert table["channel"].value_counts().to_dict() == {"speech": 1439, "song": 1012}
    assert "03-01-03-01-02-02-07" in caplog.text
    assert table["speaker"].nunique() == 24
    song = table[table["channel"] == "song"]
    assert song["speaker"].nunique() == 23
    assert set(EMOTIONS) - set(song["emotion"]) == {"disgust", "surprised"}


def test_all_of_crema_d_but_its_faults(shared_data, caplog):
    with caplog.at_level(logging.WARNING, "corpora"):
        table = scan(shared_data / "crema-d")
    assert len(table) == 7442 - 7 == 7442 - len(caplog.records)
    assert table["speaker"].nunique() == 91


def test_original_and_converted_recordings_count_once(shared_data):
    both = scan(shared_data / "ravdess-original", shared_data / "ravdess")
    assert len(both) == 2451


def test_a_list_without_end_is_refused_in_a_short_line(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora.limits, "LIST_ROWS", 3)
    file = tmp_path / "list.csv"
    for text, words in {
        "path,emotion\n" + "x" * 10**6: "a line of more than 10000 characters",
        "path,emotion\n" + "a,sad\n" * 4: "more than 3 rows",
        "path,emotion\n" + "x," * 4000: "a value for each",
        "path," + "x," * 4000 + "\na": "first path and then emotion",
        "path,emotion\na," + "x" * 9000: "emotion 'xxx",
    }.items():
        file.write_text(text)
        with pytest.raises(CorpusError, match=words) as caught:
            read_list(file)
        assert len(str(caught.value)) < 1000
    file.write_text("path,emotion\n" + "a,sad\n" * 3)
    assert len(read_list(file)) == 3


def test_of_a_list_without_end_only_a_line_is_read(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("path,emotion\n")
    os.truncate(file, 2**40)  # holds nothing, claims a terabyte
    with pytest.raises(CorpusError, match="a line of more than"):
        read_list(file)


@pytest.mark.parametrize(
    "names",
    [
        ("\x1b[31mrain.wav",),  # without a label
        ("sad/\x1b[31ma.wav", "angry/\x1b[31mb.wav"),  # one sound, two labels
        ("sad/\x1b[31ma.wav", "sad/\x1b[31mb.wav"),  # copies
    ],
)
def test_names_that_a_terminal_obeys_are_escaped(names, tmp_path, caplog):
    make(tmp_path / "DC_a01.wav")
    for name in names:
        make(tmp_path / name, sound=1)
    scan(tmp_path)
    assert "left out" in caplog.text
    assert "\\x1b[31m" in caplog.text
    assert "\x1b" not in caplog.text


def test_an_empty_file_with_a_name_that_a_terminal_obeys_is_said_plainly(tmp_path, caplog):
    make(tmp_path / "DC_a01.wav")
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "\x1b[31m.wav").touch()
    scan(tmp_path)
    assert "\\x1b[31m.wav left out: empty" in caplog.text


def test_what_a_message_quotes_is_one_plain_line(tmp_path):
    (tmp_path / "mine.csv").write_text('path,emotion\na.wav,"bo\n\x1b[31mred"\n')
    with pytest.raises(CorpusError, match="emotion 'bo") as error:
        scan(tmp_path / "mine.csv")
    assert str(error.value).isprintable()
    make(tmp_path / "joy" / "x\x1b[31m" / "sad" / "a.wav")
    with pytest.raises(CorpusError, match="lies in folders of happy and sad") as error:
        scan(tmp_path)
    assert str(error.value).isprintable()
