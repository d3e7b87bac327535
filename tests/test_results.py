import json
from pathlib import Path

import pandas as pd
import pytest

import files
import results
from classifier import Prediction
from corpora import EMOTIONS
from inputs import Input

NOTHING = Prediction(None, 0.0, True, dict.fromkeys(EMOTIONS, 0.0), "too short: 0.1 s")


def prediction(emotion: str, *, uncertain: bool = False, warning: str = "") -> Prediction:
    probabilities = dict.fromkeys(EMOTIONS, 0.05) | {emotion: 0.65}
    return Prediction(emotion, 0.65, uncertain, probabilities, warning)


def clip(path: str, *, label: str = "", corpus: str = "") -> Input:
    return Input(path, path, label=label, corpus=corpus)


def manifest(*corpora: str) -> dict:
    record = {"protocol": "speaker", "test": "RAVDESS speech", "uar": 0.5}
    record["f1_per_emotion"] = dict.fromkeys(EMOTIONS, 0.5)
    sung = record | {"test": "RAVDESS speech and song", "uar": 0.7}
    random = record | {"protocol": "random", "uar": 0.9}
    spoken = record | {"test": "CREMA-D speech", "uar": 0.4}
    return {
        "corpora": {name: {"channels": ["speech", "song"]} for name in corpora},
        "metrics": [
            random | {"uar_interval": [0.85, 0.95]},
            sung | {"uar_interval": [0.6, 0.8]},
            record | {"uar_interval": [0.41, 0.62]},
            spoken | {"uar_interval": None},
        ],
    }


def summary(pairs: list[tuple[Input, dict]]) -> results.Summary:
    counted = results.Summary()
    for file, row in pairs:
        counted.add(file, [row])
    return counted


def report(pairs: list[tuple[Input, str]], *corpora: str, left_out: int = 0) -> str:
    rows = [(file, results.success(file, prediction(emotion))) for file, emotion in pairs]
    return results.report(summary(rows), manifest(*corpora), left_out=left_out)


# ----------------------------------------------------------------------------------------- table


def test_columns_follow_the_contract():
    rows = [results.success(clip("a"), prediction("sad")), results.failure(clip("b"), "broken")]
    table = results.table(rows, EMOTIONS)
    head = ["path", "emotion", "confidence", "uncertain"]
    assert list(table.columns) == [*head, *EMOTIONS, "warning", "error"]
    assert list(table.error) == ["", "broken"]
    assert table.iloc[1][["emotion", "confidence", "uncertain", "angry"]].isna().all()


def test_label_and_times_have_columns_where_there_are_any():
    row = results.success(clip("a", label="sad"), prediction("sad"), start=0.0, end=3.0)
    columns = list(results.table([row], EMOTIONS).columns)
    assert columns[:4] == ["path", "start", "end", "emotion"]
    assert columns[-1] == "label"


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".CSV"])
def test_what_is_written_can_be_read_again(tmp_path, ending):
    rows = [
        results.success(clip('é, \n"x".wav', label="calm"), prediction("sad", uncertain=True)),
        results.success(clip("b"), NOTHING),
        results.failure(clip("c"), "broken"),
    ]
    table = results.table(rows, EMOTIONS)
    file = tmp_path / f"table{ending}"
    results.write_table([table], file)
    if ending == ".parquet":
        read = pd.read_parquet(file)
    elif ending == ".json":
        records = json.loads(file.read_text("utf-8"))
        assert records[2]["emotion"] is None
        assert records[2]["confidence"] is None
        read = pd.DataFrame(records)
    else:
        read = pd.read_csv(file, keep_default_na=False, na_values={"emotion": [""], "label": [""]})
    assert list(read.columns) == list(table.columns)
    assert list(read.path) == list(table.path)
    assert list(read.error) == ["", "", "broken"]
    assert read.label[0] == "calm"
    assert read.label[1:].isna().all()
    assert read.emotion[1:].isna().all()
    assert [float(value) for value in read.sad[:2]] == pytest.approx([0.65, 0.0])
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_parquet_has_the_same_types_whatever_the_rows(tmp_path):
    good = [results.success(clip("a", label="sad"), prediction("sad"))]
    bad = [results.failure(clip("a", label="sad"), "broken")]
    for name, rows in {"good.parquet": good, "bad.parquet": bad}.items():
        results.write_table([results.table(rows, EMOTIONS)], tmp_path / name)
    read = [pd.read_parquet(tmp_path / name) for name in ("good.parquet", "bad.parquet")]
    assert list(read[0].dtypes) == list(read[1].dtypes)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_formulas_are_escaped_in_csv_and_only_there(tmp_path, start):
    rows = [
        results.failure(clip(f"{start}cmd|' /C calc'!A0"), "-broken"),
        results.failure(clip(f"a{start}b"), ""),
    ]
    table = results.table(rows, EMOTIONS)
    results.write_table([table], tmp_path / "t.csv")
    results.write_table([table], tmp_path / "t.json")
    read = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert list(read.path) == [f"'{start}cmd|' /C calc'!A0", f"a{start}b"]
    assert list(read.error) == ["'-broken", ""]
    assert json.loads((tmp_path / "t.json").read_text())[0]["path"][0] == start


def test_the_text_is_what_the_csv_file_holds(tmp_path):
    rows = [results.success(clip("é.wav"), prediction("sad")), results.failure(clip("=b"), "x\ny")]
    table = results.table(rows, EMOTIONS)
    results.write_table([table], tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == results.csv(table).encode()


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_a_table_in_parts_is_the_same_table(tmp_path, monkeypatch, ending, number):
    rows = [results.success(clip(f"{i}.wav", label="sad"), prediction("sad")) for i in range(3)]
    rows = [*rows, results.failure(clip("é"), "x"), results.failure(clip("b"), "y")][-number:]
    rows = rows if number else []
    whole = results.tables(rows, EMOTIONS, times=False, labelled=True)
    results.write_table(whole, tmp_path / f"whole{ending}")
    monkeypatch.setattr(results, "_PART_ROWS", 2)
    parts = results.tables(iter(rows), EMOTIONS, times=False, labelled=True)
    results.write_table(parts, tmp_path / f"parts{ending}")
    if ending == ".parquet":
        read = [pd.read_parquet(tmp_path / f"{name}{ending}") for name in ("whole", "parts")]
        pd.testing.assert_frame_equal(*read)
        assert len(read[0]) == number
        return
    text = (tmp_path / f"whole{ending}").read_text("utf-8")
    assert (tmp_path / f"parts{ending}").read_text("utf-8") == text
    if ending == ".json":
        assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
        assert len(json.loads(text)) == number
    else:
        assert text.count("\n") == number + 1


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("old")

    def parts():
        yield results.table([results.failure(clip("a"), "")], EMOTIONS)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        results.write_table(parts(), file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


# ----------------------------------------------------------------------------------------- lines


def test_a_line_says_what_is_doubtful():
    row = results.success(
        clip("a.wav", label="calm"), prediction("sad", uncertain=True, warning="clipped")
    )
    line = results.line(row, 10)
    assert line == "a.wav       sad         65%  uncertain; labelled calm; clipped"


def test_a_line_has_no_remarks_where_all_is_well():
    line = results.line(results.success(clip("a.wav", label="sad"), prediction("sad")), 10)
    assert line == "a.wav       sad         65%"


def test_lines_of_silence_errors_and_segments_say_why():
    assert "too short" in results.line(results.success(clip("a"), NOTHING), 10)
    assert results.line(results.failure(clip("a"), "broken"), 3) == "a    ERROR      broken"
    row = results.success(clip("a"), prediction("sad"), start=1.5, end=4.5)
    assert results.line(row, 3) == "a       1.5 to    4.5 s  sad         65%"


def test_a_long_path_is_cut_at_the_front_and_cannot_command_the_terminal():
    line = results.line(results.failure(clip(f"{'x' * 90}/\x1b[2J\n.wav"), "\x07"), 20)
    assert line.isprintable()
    assert line.startswith("…xxx")
    assert ".wav" in line


# ---------------------------------------------------------------------------------------- report


def test_evaluation_of_a_small_case_known_by_heart():
    pairs = [("angry", "angry"), ("angry", "sad"), ("sad", "sad"), ("calm", "sad")]
    files = [clip(str(i), label=label) for i, (label, _) in enumerate(pairs)]
    rows = [
        (file, results.success(file, prediction(said)))
        for file, (_, said) in zip(files, pairs, strict=True)
    ]
    unlabelled, silent, broken = clip("u"), clip("s", label="happy"), clip("b", label="happy")
    rows += [
        (unlabelled, results.success(unlabelled, prediction("happy"))),
        (silent, results.success(silent, NOTHING)),
        (broken, results.failure(broken, "broken")),
    ]
    found = summary(rows).evaluate()
    assert found.emotions == ["angry", "calm", "sad"]
    assert found.matrix.tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 1]]
    assert found.accuracy == 0.5
    assert found.uar == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert found.f1 == pytest.approx({"angry": 2 / 3, "calm": 0, "sad": 1 / 2})


def test_nothing_is_evaluated_without_labels():
    text = report([(clip("a"), "sad")], "RAVDESS")
    assert "0 files with a known emotion" in text
    assert "Accuracy" not in text
    assert "trained" not in text


def test_the_report_warns_of_voices_the_model_was_trained_on():
    text = report([(clip("a", label="sad", corpus="RAVDESS"), "sad")], "RAVDESS", "TESS")
    flat = " ".join(text.split())
    assert "This clip is from RAVDESS, on which this model was trained" in flat
    assert "say nothing about new voices" in flat
    assert "0.500 (95 % interval 0.410 to 0.620)" in flat
    assert "0.9" not in flat
    assert "0.700" not in flat
    assert "0.400" not in flat


def test_each_corpus_that_the_model_knows_has_its_own_figure():
    pairs = [(clip(corpus, label="sad", corpus=corpus), "sad") for corpus in ("CREMA-D", "RAVDESS")]
    flat = " ".join(report(pairs, "RAVDESS", "CREMA-D").split())
    assert "These clips are from CREMA-D and RAVDESS, on which" in flat
    assert "(CREMA-D speech): 0.400. Its UAR on" in flat
    assert "(RAVDESS speech): 0.500" in flat


def test_the_report_says_how_many_clips_the_warning_is_about():
    pairs = [
        (clip("a", label="sad", corpus="RAVDESS"), "sad"),
        (clip("b", label="sad", corpus="CREMA-D"), "sad"),
        (clip("c", label="sad"), "sad"),
        (clip("d", corpus="RAVDESS"), "sad"),
    ]
    assert "1 of these clips is from RAVDESS" in report(pairs, "RAVDESS")
    again = [(clip("e", label="sad", corpus="RAVDESS"), "sad"), *pairs]
    assert "2 of these clips are from RAVDESS" in report(again, "RAVDESS")


def test_clips_without_an_answer_are_not_what_the_figures_are_of():
    rows = [
        (file, results.failure(file, "broken") if broken else results.success(file, NOTHING))
        for broken in (False, True)
        for file in [clip(str(broken), label="sad", corpus="RAVDESS")]
    ]
    other = clip("other", label="sad")
    rows.append((other, results.success(other, prediction("sad"))))
    text = results.report(summary(rows), manifest("RAVDESS"))
    assert "trained" not in text
    assert "over 1 file" in text


def test_no_warning_for_a_corpus_that_is_new_to_the_model():
    text = report([(clip("a", label="sad", corpus="CREMA-D"), "sad")], "RAVDESS")
    assert "trained" not in text
    assert "Accuracy 1.000" in text


def test_the_report_counts_what_is_missing():
    rows = [
        (clip("a"), results.success(clip("a"), prediction("sad", uncertain=True))),
        (clip("b"), results.success(clip("b"), NOTHING)),
        (clip("c"), results.failure(clip("c"), "broken")),
    ]
    text = results.report(summary(rows), manifest(), left_out=4)
    assert "2 of 7 files classified" in text
    for part in (
        "4 files left out",
        "1 file with an error",
        "1 file without emotion: no voice, or too short",
        "1 answer uncertain",
    ):
        assert part in " ".join(text.split())


def test_the_report_fits_a_terminal():
    pairs = [(clip(e, label=e, corpus="RAVDESS"), e) for e in EMOTIONS]
    assert max(map(len, report(pairs, "RAVDESS").splitlines())) <= 90


def write_report(file: Input, folder: Path) -> str:
    row = results.success(file, prediction("sad"))
    counted = summary([(file, row)])
    text = results.report(counted, manifest())
    results.write_report([results.table([row], EMOTIONS)], text, counted.evaluate(), folder)
    return text


def test_a_report_is_written_with_its_figure(tmp_path):
    text = write_report(clip("a", label="sad"), tmp_path)
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    written = (tmp_path / "report.md").read_text("utf-8")
    assert text in written
    assert "(confusion.png)" in written
    assert len(pd.read_csv(tmp_path / "results.csv")) == 1


def test_a_report_without_labels_has_no_figure(tmp_path):
    write_report(clip("a"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "results.csv"}


def test_an_error_stays_a_line() -> None:
    error = results.failure(Input("a.wav", "/a.wav"), "no sound\n" + "x" * 10**6)["error"]
    assert error.startswith("no sound\\nxxx")
    assert len(error) <= results.MAX_ERROR + 1


def test_a_model_of_one_voice_has_a_figure_without_an_interval() -> None:
    known = manifest("RAVDESS")
    for record in known["metrics"]:
        record["uar_interval"] = None
    file = clip("a", label="sad", corpus="RAVDESS")
    text = results.report(summary([(file, results.success(file, prediction("sad")))]), known)
    assert "(RAVDESS speech): 0.500." in " ".join(text.split())


def test_a_figure_of_an_earlier_report_does_not_stay(tmp_path) -> None:
    write_report(clip("a", label="sad"), tmp_path)
    write_report(clip("a"), tmp_path)
    assert not (tmp_path / "confusion.png").exists()


def test_segments_are_counted_as_such() -> None:
    counted, file = results.Summary(), clip("a", label="sad")
    rows = [results.success(file, NOTHING, start=s, end=s + 3.0) for s in (0.0, 3.0)]
    counted.add(file, rows)
    text = " ".join(results.report(counted, manifest()).split())
    assert "1 of 1 file classified. 2 segments without emotion" in text


def test_what_another_run_writes_beside_a_table_is_left_alone(tmp_path) -> None:
    (tmp_path / ".other.csv.1.part").touch()
    (tmp_path / ".t.csv.1.part").touch()  # of a run of this table that was killed
    results.write_table(
        [results.table([results.failure(clip("a"), "x")], EMOTIONS)], tmp_path / "t.csv"
    )
    assert {file.name for file in tmp_path.iterdir()} == {"t.csv", ".other.csv.1.part"}


def test_figures_on_another_corpus_are_not_taken_for_those_on_new_voices() -> None:
    known = manifest("RAVDESS")
    across = {"protocol": "cross-corpus", "test": "A speech"}
    across["f1_per_emotion"] = dict.fromkeys("123456789", 0.5)
    known["metrics"].append(across | {"uar": 0.123, "uar_interval": None})
    file = clip("a", label="sad", corpus="RAVDESS")
    text = results.report(summary([(file, results.success(file, prediction("sad")))]), known)
    assert "0.123" not in text


def test_what_a_killed_run_left_is_found_by_its_whole_name(tmp_path):
    for name in (".a[1].csv.7.part", ".a1.csv.7.part"):
        (tmp_path / name).touch()
    files.sweep(tmp_path, "a[1].csv")
    assert [file.name for file in tmp_path.iterdir()] == [".a1.csv.7.part"]
