"""The metrics, against scikit-learn where it has them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import binom
from sklearn import metrics

import evaluation
from evaluation import FoldResult

EMOTIONS = ("angry", "happy", "sad")
answers = st.lists(
    st.tuples(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS)), min_size=1, max_size=50
)


@given(answers)
def test_metrics_equal_scikit_learn(pairs) -> None:
    truth, guess = map(list, zip(*pairs, strict=True))
    assert evaluation.accuracy(truth, guess) == pytest.approx(metrics.accuracy_score(truth, guess))
    expected = metrics.recall_score(
        truth, guess, average="macro", labels=sorted(set(truth)), zero_division=0
    )
    assert evaluation.uar(truth, guess) == pytest.approx(expected)
    np.testing.assert_array_equal(
        evaluation.confusion_matrix(truth, guess, EMOTIONS),
        metrics.confusion_matrix(truth, guess, labels=EMOTIONS),
    )
    f1 = evaluation.f1_per_emotion(truth, guess, EMOTIONS)
    expected = metrics.f1_score(truth, guess, labels=EMOTIONS, average=None, zero_division=0)
    np.testing.assert_allclose(list(f1.values()), expected)


def test_guessing_one_emotion_scores_one_over_their_number() -> None:
    truth = ["angry"] * 90 + ["happy"] * 9 + ["sad"]
    assert evaluation.uar(truth, ["angry"] * 100) == pytest.approx(1 / 3)
    assert evaluation.accuracy(truth, ["angry"] * 100) == 0.9


def test_ece_is_the_distance_between_confidence_and_accuracy() -> None:
    confidence = np.array([0.9] * 10 + [0.5] * 10)
    correct = np.array([1] * 9 + [0] + [1] * 3 + [0] * 7)
    assert evaluation.ece(confidence, correct) == pytest.approx((0 + 0.2) / 2)
    assert evaluation.ece(np.ones(4), np.ones(4)) == 0


def make_results(*, right: float, seed: int = 0) -> tuple[pd.DataFrame, list[FoldResult]]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        [
            (f"{s}-{c}", EMOTIONS[c % 3], f"own-{s}", "own", "song" if c % 2 else "speech")
            for s in range(10)
            for c in range(12)
        ],
        columns=["path", "emotion", "speaker", "corpus", "channel"],
    )
    probabilities = np.full((len(table), 3), 0.1)
    for row, emotion in enumerate(table.emotion):
        hit = rng.random() < right
        guess = EMOTIONS.index(emotion) if hit else rng.integers(3)
        probabilities[row, guess] = 0.8
    halves = np.array_split(np.arange(len(table)), 2)
    results = [
        FoldResult(f"fold {i}", 0, half, probabilities[half]) for i, half in enumerate(halves)
    ]
    return table, results


def test_a_record_holds_what_was_measured() -> None:
    table, results = make_results(right=0.7)
    everything, speech = evaluation.records(table, "speaker", EMOTIONS, results)
    guess = np.concatenate([result.probabilities for result in results]).argmax(axis=1)
    predictions = [EMOTIONS[i] for i in guess]
    assert everything["accuracy"] == pytest.approx(
        metrics.accuracy_score(table.emotion, predictions)
    )
    assert everything["uar"] == pytest.approx(
        metrics.balanced_accuracy_score(table.emotion, predictions)
    )
    halves = [
        metrics.balanced_accuracy_score(
            table.emotion.iloc[result.test], np.array(EMOTIONS)[result.probabilities.argmax(axis=1)]
        )
        for result in results
    ]
    assert everything["uar_std"] == pytest.approx(np.std(halves, ddof=1))
    low, high = everything["uar_interval"]
    assert low < everything["uar"] < high
    assert everything["test"] == "own speech and song"
    assert everything["clips"] == 120
    assert speech["test"] == "own speech"
    assert speech["clips"] == 60
    assert len(everything["accuracy_per_speaker"]) == 10
    assert "UAR" in evaluation.report(everything)


def test_ece_is_that_of_one_network_also_where_several_were_asked() -> None:
    table, results = make_results(right=0.7)
    again = [
        FoldResult(result.fold, 1, result.test, np.roll(result.probabilities, 1, axis=1))
        for result in results
    ]
    alone, other, both = (
        evaluation.records(table, "speaker", EMOTIONS, asked)[0]["ece"]
        for asked in (results, again, results + again)
    )
    assert alone != other
    assert both == pytest.approx((alone + other) / 2)


def test_the_interval_is_over_speakers() -> None:
    table, results = make_results(right=1.0)
    # One half of the speakers all wrong, the other all right: clips are many, voices are few.
    wrong = results[0].probabilities
    results[0] = FoldResult("fold 0", 0, results[0].test, np.roll(wrong, 1, axis=1))
    record = evaluation.records(table, "speaker", EMOTIONS, results)[0]
    low, high = record["uar_interval"]
    assert record["uar"] == pytest.approx(0.5)
    assert high - low > 0.4


def test_one_speaker_has_no_interval() -> None:
    table, results = make_results(right=0.7)
    record = evaluation.records(table.assign(speaker="me"), "random", EMOTIONS, results)[0]
    assert record["uar_interval"] is None
    assert "one speaker, so no interval" in evaluation.report(record)


def test_cross_corpus_asks_only_for_shared_emotions() -> None:
    table = pd.DataFrame(
        [
            ("a", "angry", "x", "one", "speech"),
            ("b", "happy", "x", "one", "speech"),
            ("c", "sad", "x", "one", "speech"),
            ("d", "angry", "y", "two", "speech"),
            ("e", "happy", "y", "two", "speech"),
        ],
        columns=["path", "emotion", "speaker", "corpus", "channel"],
    )
    # 'sad' is the highest everywhere, but is no answer where only angry and happy are shared.
    one = FoldResult("one", 0, np.arange(3), np.array([[0.3, 0.1, 0.6]] * 3))
    two = FoldResult("two", 0, np.arange(3, 5), np.array([[0.3, 0.1, 0.6], [0.1, 0.3, 0.6]]))
    first, second = evaluation.records(table, "cross-corpus", EMOTIONS, [one, two])
    assert first["emotions"] == second["emotions"] == ["angry", "happy"]
    assert (first["train"], first["test"]) == ("two speech", "one speech")
    assert (first["clips"], first["uar"]) == (2, 0.5)
    assert second["uar"] == 1.0


def test_any_emotion_of_the_training_may_be_answered_but_across_corpora() -> None:
    table = pd.DataFrame(
        {
            "path": list("abcde"),
            "emotion": ["angry", "happy", "sad", "angry", "happy"],
            "speaker": list("xxxyy"),
            "corpus": ["one", "one", "one", "two", "two"],
            "channel": "speech",
        }
    )
    said = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.9, 0.1, 0], [0.1, 0.3, 0.6]])
    _, two = evaluation.records(
        table, "speaker", EMOTIONS, [FoldResult("x", 0, np.arange(5), said)]
    )
    assert (two["emotions"], two["uar"]) == (list(EMOTIONS), 0.5)
    assert two["f1_per_emotion"] == {"angry": 1.0, "happy": 0.0}  # no clip of two is sad
    assert two["confusion_matrix"] == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert "sad" not in evaluation.report(two)
    assert (two["ece"], two["accuracy"]) == (pytest.approx((0.1 + 0.6) / 2), 0.5)


@pytest.mark.parametrize("emotions", [["angry", "angry"], ["angry", "sad"]])
def test_what_nobody_can_get_wrong_or_was_not_tested_has_no_record(emotions) -> None:
    table = pd.DataFrame(
        {
            "path": list("abcd"),
            "emotion": ["angry", "sad", *emotions],
            "speaker": list("abcd"),
            "corpus": ["one", "one", "two", "two"],
            "channel": "speech",
        }
    )
    test = np.array([0, 1, 2, 3] if emotions[0] == emotions[1] else [0, 1])
    said = evaluation.FoldResult("80/20", 0, test, np.tile([0.6, 0.4], (len(test), 1)))
    (record,) = evaluation.records(table, "random", ["angry", "sad"], [said])
    assert record["test"] == "one speech"


def test_figures_are_drawn(tmp_path) -> None:
    evaluation.plot_confusion(np.array([[3, 1], [0, 0]]), ["sad", "calm"], tmp_path / "c.png")
    curve = evaluation.reliability(np.array([0.2, 0.9, 0.95]), np.array([0, 1, 1]))
    assert [point["clips"] for point in curve] == [1, 1, 1]
    evaluation.plot_reliability(curve, tmp_path / "r.png")
    for name in ("c.png", "r.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_setting_the_least_certain_aside() -> None:
    confidence = np.array([0.9, 0.2, 0.8, 0.7])
    assert evaluation.accuracy_of_surest(confidence, np.array([1, 0, 1, 0])) == pytest.approx(2 / 3)
    assert evaluation.accuracy_of_surest(confidence, np.array([1, 1, 1, 1])) == 1.0
    assert evaluation.accuracy_of_surest(confidence[:1], np.array([1])) == 1.0


def test_women_and_men_are_told_apart_where_the_corpus_tells() -> None:
    table = pd.DataFrame(
        [
            ("a", "angry", "RAVDESS-01", "RAVDESS", "speech"),
            ("b", "happy", "RAVDESS-01", "RAVDESS", "speech"),
            ("c", "angry", "RAVDESS-02", "RAVDESS", "speech"),
            ("d", "happy", "RAVDESS-02", "RAVDESS", "speech"),
        ],
        columns=["path", "emotion", "speaker", "corpus", "channel"],
    )
    heard = FoldResult("x", 0, np.arange(4), np.array([[0.8, 0.2, 0.0]] * 3 + [[0.2, 0.8, 0.0]]))
    (record,) = evaluation.records(table, "speaker", EMOTIONS, [heard])
    assert record["uar_by_sex"] == {"men": 0.5, "women": 1.0}
    assert "worst speaker RAVDESS-01 50.0%; UAR men 50.0%, women 100.0%" in evaluation.report(
        record
    )
    for speaker in ("s", "RAVDESS-01"):
        alike = table.assign(speaker=speaker)
        (record,) = evaluation.records(alike, "speaker", EMOTIONS, [heard])
        assert record["uar_by_sex"] == {}


def test_calibration_is_that_of_the_emotions_that_are_asked_for() -> None:
    table = pd.DataFrame(
        [
            (f"{corpus}{e}", e, corpus, corpus, "speech")
            for corpus in ("one", "two")
            for e in EMOTIONS[: 3 if corpus == "one" else 2]
        ],
        columns=["path", "emotion", "speaker", "corpus", "channel"],
    )
    said = np.array([[0.3, 0.1, 0.6], [0.1, 0.3, 0.6]])
    two = FoldResult("two", 0, np.arange(3, 5), said)
    (record,) = evaluation.records(table, "cross-corpus", EMOTIONS, [two])
    # Of angry and happy alone, the answers are right with 75 %.
    assert [point["confidence"] for point in record["reliability"]] == [pytest.approx(0.75)]
    assert record["ece"] == pytest.approx(0.25)


def test_the_interval_holds_95_in_100_draws_of_as_many_speakers() -> None:
    rows = [(e, f"s{s}") for s in range(40) for e in EMOTIONS]
    table = pd.DataFrame(rows, columns=["emotion", "speaker"]).assign(
        corpus="own", channel="speech"
    )
    said = np.tile(np.eye(3), (40, 1))
    said[60:] = np.roll(said[60:], 1, axis=1)  # the second half of the speakers all wrong
    result = FoldResult("x", 0, np.arange(120), said)
    (record,) = evaluation.records(table, "random", EMOTIONS, [result])
    expected = binom.ppf([0.025, 0.975], 40, 0.5) / 40
    assert record["uar_interval"] == pytest.approx(expected, abs=0.01)


def test_two_seeds_say_twice_what_is_counted_once() -> None:
    table, first = make_results(right=0.7)
    second = [FoldResult(r.fold, 1, r.test, np.roll(r.probabilities, 1, axis=1)) for r in first]
    record = evaluation.records(table, "speaker", EMOTIONS, [*first, *second])[0]
    assert (record["clips"], record["folds"], record["seeds"]) == (120, 2, [0, 1])
    assert np.sum(record["confusion_matrix"]) == 240
    uars = [part["uar"] for part in record["uar_per_fold"]]
    assert len(uars) == 4
    assert record["uar_std"] == pytest.approx(np.std(uars, ddof=1))
    assert [line.split()[-1] for line in evaluation.report(record).splitlines()[2:5]] == ["40"] * 3


def test_the_figures_show_what_was_counted(monkeypatch, tmp_path) -> None:
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure.axes[0]))
    evaluation.plot_confusion(np.array([[3, 1], [0, 2]]), ["sad", "calm"], tmp_path / "c.png")
    curve = evaluation.reliability(np.array([0.2, 0.9, 0.9]), np.array([0, 1, 0]))
    evaluation.plot_reliability(curve, tmp_path / "r.png")
    confusion, reliability = drawn
    assert confusion.images[0].get_array().tolist() == [[0.75, 0.25], [0, 1]]
    assert [label.get_text() for label in confusion.get_yticklabels()] == ["sad (4)", "calm (2)"]
    evaluation.plot_confusion(np.array([[0, 0], [1, 3]]), ["sad", "calm"], tmp_path / "c.png")
    assert drawn[-1].images[0].get_array().tolist() == [[0.25, 0.75]]
    assert [label.get_text() for label in drawn[-1].get_xticklabels()] == ["sad", "calm"]
    assert [label.get_text() for label in drawn[-1].get_yticklabels()] == ["calm (4)"]
    _, line = reliability.lines
    assert line.get_xydata().tolist() == [[0.2, 0.0], [0.9, 0.5]]
    assert reliability.get_xlabel() == "confidence"


def test_a_corpus_is_summed_up() -> None:
    table, _ = make_results(right=1.0)
    assert evaluation.summarise(table) == {
        "own": {"clips": 120, "speakers": 10, "channels": ["speech", "song"], "licence": "unknown"}
    }


def test_a_record_says_how_far_its_answers_can_be_trusted() -> None:
    table, results_ = make_results(right=0.7)
    record = evaluation.records(table, "speaker", EMOTIONS, results_)[0]
    guess = np.concatenate([result.probabilities for result in results_])
    right = guess.argmax(axis=1) == table.emotion.map(EMOTIONS.index)
    assert record["ece"] == pytest.approx(abs(0.8 - right.mean()))  # all are sure by 80 %
    (point,) = record["reliability"]
    assert point == {"clips": 120, "confidence": pytest.approx(0.8), "accuracy": right.mean()}


def test_the_surest_answers_of_a_record_are_those_of_most_confidence() -> None:
    table, (first, second) = make_results(right=1.0)
    # The first voices are all wrong, and the network is hardly sure of them.
    shy = 0.9 * np.roll(first.probabilities, 1, axis=1)
    shy = shy + (1 - shy.sum(axis=1, keepdims=True)) / 3
    first = FoldResult(first.fold, 0, first.test, shy)
    record = evaluation.records(table, "speaker", EMOTIONS, [first, second])[0]
    assert record["accuracy_of_surest"] == pytest.approx(60 / 90)


def test_a_corpus_named_after_songs_may_be_of_speech() -> None:
    both = {"f1_per_emotion": {"angry": 0.5, "sad": 0.5}}
    tests = ["mine song", "folksongs speech", "mine speech and song"]
    found = sorted(tests, key=lambda test: evaluation.likeness({**both, "test": test}))
    assert found[0] == "folksongs speech"
