"""Nothing crosses a split: no clip, no speaker, no stretch of a recording."""

import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import make_table
from hypothesis import given, settings
from hypothesis import strategies as st

import corpora
import evaluation
import protocols
from evaluation import FoldResult


def assert_no_leak(table: pd.DataFrame, split: protocols.Split, *, by_speaker: bool) -> None:
    sides = [split.train, split.validation, split.test]
    assert all(len(side) for side in sides)
    together = np.concatenate(sides)
    assert len(set(together)) == len(together) == len(table)
    if by_speaker:
        voices = [set(table.speaker.iloc[side]) for side in sides]
        assert not voices[0] & voices[1]
        assert not voices[0] & voices[2]
        assert not voices[1] & voices[2]


@settings(max_examples=25)
@given(
    st.integers(4, 30),
    st.integers(8, 20),
    st.integers(2, 4),
    st.integers(0, 1000),
    st.integers(0, 3),
)
def test_speaker_folds_never_share_a_voice(speakers, clips, folds, seed, member) -> None:
    table = make_table(speakers, clips)
    made = protocols.splits(table, "speaker", folds=folds, seed=seed, member=member)
    assert len(made) == folds
    for split in made:
        assert_no_leak(table, split, by_speaker=True)
    tested = np.sort(np.concatenate([split.test for split in made]))
    np.testing.assert_array_equal(tested, np.arange(len(table)))


@settings(max_examples=15)
@given(st.integers(4, 20), st.integers(24, 40), st.integers(0, 1000), st.integers(0, 3))
def test_a_random_split_shares_voices_but_no_clip(speakers, clips, seed, member) -> None:
    table = make_table(speakers, clips)
    (split,) = protocols.splits(table, "random", folds=5, seed=seed, member=member)
    assert_no_leak(table, split, by_speaker=False)
    assert len(split.test) == pytest.approx(0.2 * len(table), abs=1)
    share = table.emotion.iloc[split.test].value_counts(normalize=True)
    whole = table.emotion.value_counts(normalize=True)
    assert (share - whole).abs().max() < 0.06


def overlapping_stretches() -> pd.DataFrame:
    """One voice, sixteen recordings of two emotions, and of each six stretches that overlap."""
    rows = [
        (f"me_{emotion}_{number:016x}-{1500 * cut}-{1500 * cut + 3000}.flac", emotion, "me")
        for number in range(16)
        for emotion in [("angry", "sad")[number % 2]]
        for cut in range(6)
    ]
    table = pd.DataFrame(rows, columns=["path", "emotion", "speaker"])
    return table.assign(corpus=corpora.OWN, channel="speech")


@pytest.mark.parametrize("seed", range(3))
def test_what_was_cut_from_one_recording_stays_together(seed) -> None:
    table = overlapping_stretches()
    recording = table.path.str.extract("_([0-9a-f]{16})-")[0]
    (split,) = protocols.splits(table, "random", folds=5, seed=seed)
    final = protocols.carve_final(table, seed=seed)
    for sides in ([split.train, split.validation, split.test], final):
        assert sum(map(len, sides)) == len(table)
        drawn = [set(recording.iloc[side]) for side in sides]
        assert sum(map(len, drawn)) == len(set.union(*drawn)) == 16
        assert all(set(table.emotion.iloc[side]) == {"angry", "sad"} for side in sides)
    crossing = protocols.Split("one", np.arange(3), np.arange(3, 6), np.arange(6, 96))
    with pytest.raises(protocols.ProtocolError, match=r"recording 0+ is in train and valid"):
        protocols.check_split(table, crossing, by_speaker=False)
    rows = np.arange(96)
    two_people = table.assign(speaker=np.where(rows % 2, "me", "you"))
    apart = protocols.Split("one", rows[::2], rows[1::2], rows[:0])
    protocols.check_split(two_people, apart, by_speaker=True)


def test_cross_corpus_tests_each_corpus_once() -> None:
    table = pd.concat([make_table(4, 16, "one"), make_table(5, 8, "two")], ignore_index=True)
    made = protocols.splits(table, "cross-corpus", folds=9, seed=0)
    assert [split.name for split in made] == ["one", "two"]
    for split in made:
        assert_no_leak(table, split, by_speaker=True)
        assert set(table.corpus.iloc[split.test]) == {split.name}
        assert split.name not in set(table.corpus.iloc[[*split.train, *split.validation]])


def test_a_voice_of_two_corpora_is_not_learned_where_it_is_tested() -> None:
    table = pd.concat([make_table(4, 16, "one"), make_table(5, 16, "two")], ignore_index=True)
    table.loc[table.speaker.isin(["one-0", "two-0"]), "speaker"] = "alice"
    for split in protocols.splits(table, "cross-corpus", folds=2, seed=0):
        used = [*split.train, *split.validation]
        assert not set(table.speaker.iloc[used]) & set(table.speaker.iloc[split.test])
    for split in protocols.splits(table, "speaker", folds=2, seed=0):
        assert_no_leak(table, split, by_speaker=True)


@pytest.mark.parametrize(("speakers", "folds"), [(3, 2), (3, 4), (4, 5)])
def test_too_few_speakers_are_told_how_many_folds_would_do(speakers, folds) -> None:
    table = make_table(speakers, 16)
    with pytest.raises(protocols.ProtocolError, match=f"--folds {speakers}"):
        protocols.splits(table, "speaker", folds=folds, seed=0)
    assert len(protocols.splits(table, "speaker", folds=speakers, seed=0)) == speakers


def test_corpora_with_one_emotion_in_common_are_not_asked_across() -> None:
    one, two = make_table(4, 16, "one"), make_table(4, 16, "two")
    two = two[two.emotion.isin(["angry"])]
    with pytest.raises(protocols.ProtocolError, match="one has angry in common"):
        protocols.splits(pd.concat([one, two], ignore_index=True), "cross-corpus", folds=2, seed=0)


@pytest.mark.parametrize("folds", [5, 6])
def test_ravdess_alone_gets_the_published_folds(folds, shared_data) -> None:
    table = corpora.scan(shared_data / "ravdess")
    made = protocols.splits(table, "speaker", folds=folds, seed=0)
    tested = [sorted(set(table.speaker.iloc[split.test])) for split in made]
    published = protocols.RAVDESS_FOLDS[folds]
    assert tested == [[f"RAVDESS-{actor:02d}" for actor in sorted(fold)] for fold in published]
    assert sorted(actor for fold in published for actor in fold) == list(range(1, 25))
    for split in made:
        assert_no_leak(table, split, by_speaker=True)


def test_corpora_keep_their_fixed_folds_together_and_others_join_them(shared_data) -> None:
    ravdess, crema = (corpora.scan(shared_data / name) for name in ("ravdess", "crema-d"))
    table = pd.concat([ravdess, crema, make_table(3, 8)], ignore_index=True)
    made = protocols.splits(table, "speaker", folds=5, seed=3)
    for number, split in enumerate(made):
        tested = set(table.speaker.iloc[split.test])
        assert {f"RAVDESS-{actor:02d}" for actor in protocols.RAVDESS_FOLDS[5][number]} == {
            speaker for speaker in tested if speaker.startswith("RAVDESS")
        }
        of_crema = {int(speaker[-4:]) for speaker in tested if speaker.startswith("CREMA")}
        assert {speaker % 5 for speaker in of_crema} == {number}
        assert len(of_crema) in (18, 19)
        assert_no_leak(table, split, by_speaker=True)
    assert sum("own-0" in set(table.speaker.iloc[split.test]) for split in made) == 1


@pytest.mark.parametrize("seed", range(5))
def test_each_corpus_with_speakers_to_spare_validates(seed) -> None:
    sizes = {"many": 50, "few": 10, "mine": 1}
    table = pd.concat([make_table(n, 8, name) for name, n in sizes.items()], ignore_index=True)
    rows = np.arange(len(table))
    _, aside = protocols.carve_validation(table, rows, by_speaker=True, seed=seed)
    drawn = table.iloc[aside].groupby("corpus").speaker.nunique()
    assert drawn.to_dict() == {"many": 5, "few": 1}


def test_folds_draw_other_validation_speakers() -> None:
    table = make_table(60, 8)
    places = set()
    for split in protocols.splits(table, "speaker", folds=3, seed=0):
        trained, aside = (table.speaker.iloc[rows] for rows in (split.train, split.validation))
        voices = np.union1d(trained, aside)
        places.add(tuple(np.searchsorted(voices, aside.unique())))
    assert len(places) == 3


@pytest.mark.parametrize("protocol", ["random", "speaker", "cross-corpus"])
def test_members_are_tested_on_the_same_clips_and_validate_on_others(protocol) -> None:
    table = pd.concat([make_table(40, 8, "one"), make_table(40, 8, "two")], ignore_index=True)
    first, second = (
        protocols.splits(table, protocol, folds=3, seed=0, member=member) for member in (0, 1)
    )
    for one, other in zip(first, second, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.test, other.test)
        assert len(np.setdiff1d(one.validation, other.validation)) > len(one.validation) / 2


def test_seeds_draw_other_validation_speakers() -> None:
    table = make_table(20, 8)
    drawn = {
        tuple(sorted(set(table.speaker.iloc[split.validation])))
        for seed in range(5)
        for split in protocols.splits(table, "speaker", folds=2, seed=seed)
    }
    assert len(drawn) > 5


@pytest.mark.parametrize("by_speaker", [True, False])
@pytest.mark.parametrize("sides", [(0, 1), (0, 2), (1, 2)])
def test_a_crossing_is_found(by_speaker, sides) -> None:
    table = make_table(6, 8)
    rows = np.arange(len(table)).reshape(3, -1)
    parts = [rows[0], rows[1], rows[2]]
    protocols.check_split(table, protocols.Split("x", *parts), by_speaker=True)
    # One clip of one side also on the other: the same voice, and the same clip.
    parts[sides[0]] = np.append(parts[sides[0]], parts[sides[1]][0])
    with pytest.raises(protocols.ProtocolError, match="is in"):
        protocols.check_split(table, protocols.Split("x", *parts), by_speaker=by_speaker)


def test_a_shared_voice_is_found_where_no_clip_is_shared() -> None:
    table = make_table(3, 8)
    table.loc[0, "speaker"] = table.speaker.iloc[-1]
    rows = np.arange(24).reshape(3, -1)
    with pytest.raises(protocols.ProtocolError, match="the speaker own-2 is in train and test"):
        protocols.check_split(table, protocols.Split("x", *rows), by_speaker=True)


@pytest.mark.parametrize(
    ("table", "protocol", "message"),
    [
        (make_table(2, 8), "speaker", "at least 4 speakers, found 2"),
        (make_table(4, 8), "cross-corpus", "at least two corpora, found own"),
        (make_table(1, 9), "random", "too few"),
        (make_table(5, 8).iloc[::9], "speaker", "too few for 4 folds"),
        (
            pd.concat([make_table(4, 1, "one"), make_table(4, 8, "two").iloc[1:2]]),
            "cross-corpus",
            "no emotion in common",
        ),
        (
            pd.concat([make_table(1, 8, "one"), make_table(4, 8, "two")], ignore_index=True),
            "cross-corpus",
            "Found 1 speaker to train on",
        ),
    ],
)
def test_too_little_data_is_said(table, protocol, message) -> None:
    with pytest.raises(protocols.ProtocolError, match=message):
        protocols.splits(table, protocol, folds=4, seed=0)


def test_another_seed_tests_other_clips_at_random() -> None:
    table = make_table(10, 24)
    drawn = {
        tuple(protocols.splits(table, "random", folds=2, seed=seed)[0].test) for seed in range(3)
    }
    assert len(drawn) == 3


def actors(*numbers: int) -> pd.DataFrame:
    """Return clips of some actors of RAVDESS."""
    table = make_table(len(numbers), 8, "RAVDESS")
    names = {f"RAVDESS-{place}": f"RAVDESS-{actor:02d}" for place, actor in enumerate(numbers)}
    return table.assign(speaker=table.speaker.map(names))


def test_actors_of_one_published_fold_are_divided_all_the_same() -> None:
    table = actors(*protocols.RAVDESS_FOLDS[5][0])
    made = protocols.splits(table, "speaker", folds=5, seed=0)
    assert len(made) == 5
    for split in made:
        assert_no_leak(table, split, by_speaker=True)
    # Four of one fold and one of another leave, in the first, one voice to learn.
    made = protocols.splits(actors(2, 5, 14, 15, 3), "speaker", folds=5, seed=0)
    assert [len(split.test) for split in made] == [8] * 5


def test_a_number_of_folds_that_nobody_published_is_drawn() -> None:
    table = actors(*range(1, 13))
    made = protocols.splits(table, "speaker", folds=4, seed=0)
    assert [split.name for split in made] == ["fold 1", "fold 2", "fold 3", "fold 4"]


def test_actors_of_some_published_folds_leave_none_empty() -> None:
    table = actors(1, 11, 20, 21, 4, 10)
    made = protocols.splits(table, "speaker", folds=6, seed=0)
    assert [split.name for split in made] == ["1 11 20 21", "4 10 12 14"]
    for split in made:
        assert_no_leak(table, split, by_speaker=True)


def test_a_tenth_of_the_voices_is_rounded() -> None:
    _, aside = protocols.carve_validation(
        make_table(19, 8), np.arange(19 * 8), by_speaker=True, seed=0
    )
    assert len(aside) == 2 * 8


def test_of_two_voices_one_is_set_aside_from_the_model() -> None:
    table = make_table(2, 24)
    train, aside = protocols.carve_final(table, seed=0)
    assert {len(set(table.speaker.iloc[rows])) for rows in (train, aside)} == {1}
    assert not set(table.speaker.iloc[train]) & set(table.speaker.iloc[aside])


def test_an_emotion_of_one_voice_is_learned_all_the_same() -> None:
    table = make_table(2, 24)
    table["emotion"] = np.where(table.speaker == "own-0", "angry", "sad")
    for seed in range(3):
        train, aside = protocols.carve_final(table, seed=seed)
        assert set(table.emotion.iloc[train]) == {"angry", "sad"}
        assert len(train) + len(aside) == len(table)
    # Where other voices can be set aside, none is on both sides.
    more = make_table(1, 24, "more").assign(emotion="angry")
    table = pd.concat([table, more], ignore_index=True)
    for seed in range(9):
        train, aside = protocols.carve_final(table, seed=seed)
        assert set(table.emotion.iloc[train]) == {"angry", "sad"}
        assert not set(table.speaker.iloc[train]) & set(table.speaker.iloc[aside])


def test_a_rare_emotion_is_no_warning() -> None:
    table = make_table(6, 8)
    table = table.drop(table.index[(table.emotion == "sad")][1:]).reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(protocols.splits(table, "speaker", folds=6, seed=0)) == 6


def test_emotions_of_a_voice_of_both_corpora_are_not_shared() -> None:
    one = make_table(4, 2, "one").assign(emotion=["angry", "sad"] * 4)
    two = make_table(4, 3, "two").assign(emotion=["angry", "sad", "happy"] * 4)
    one.loc[0, ["speaker", "emotion"]] = "two-0", "happy"  # happy in one, but known in two
    table = pd.concat([one, two], ignore_index=True)
    results = [
        FoldResult(split.name, 0, split.test, np.tile(np.eye(3)[0], (len(split.test), 1)))
        for split in protocols.splits(table, "cross-corpus", folds=2, seed=0)
    ]
    _, record = evaluation.records(table, "cross-corpus", ["angry", "happy", "sad"], results)
    assert (record["test"], record["emotions"]) == ("two speech", ["angry", "sad"])
    one.loc[one.emotion == "sad", "speaker"] = "two-0"
    with pytest.raises(protocols.ProtocolError, match="two has angry in common"):
        protocols.splits(pd.concat([one, two], ignore_index=True), "cross-corpus", folds=2, seed=0)
