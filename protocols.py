"""Which clips train, which validate, which test.

Three protocols, from the easy question to the hard one:

random        voices of the training set, often in the same sentence and emotion said once more
              (what most published figures measure);
speaker       voices nobody trained on: folds follow speakers;
cross-corpus  voices, sentences, rooms and microphones nobody trained on: folds follow corpora.

In each, the validation clips come out of the training clips (in the latter two: out of the
training speakers), and nothing of a split is fitted or stopped on its test clips. Each member of an
ensemble draws its own, so that together they learn from nearly every clip that is not tested.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

import corpora
import my_recordings

#: Published speaker-independent folds of RAVDESS, as test actors: by number of folds.
PUBLISHED = {
    6: "EmoBox (Ma et al., Interspeech 2024)",
    5: "Luna-Jiménez et al. (Applied Sciences 2021)",
}
RAVDESS_FOLDS: dict[int, list[tuple[int, ...]]] = {
    6: [
        (1, 11, 20, 21),
        (4, 10, 12, 14),
        (8, 9, 19, 23),
        (3, 5, 7, 24),
        (2, 15, 16, 18),
        (6, 13, 17, 22),
    ],
    5: [
        (2, 5, 14, 15, 16),
        (3, 6, 7, 13, 18),
        (10, 11, 12, 19, 20),
        (8, 17, 21, 23, 24),
        (1, 4, 9, 22),
    ],
}

#: With this number of folds CREMA-D's are fixed, too: by the remainder of the speaker's number.
CREMA_D_FOLDS = 5

TEST_SHARE = 0.2  # of the random protocol
VALIDATION_SHARE = 0.1  # of the training clips, or of the training speakers
DRAWS = 20  # of voices to set aside, until those that are left have all emotions


class ProtocolError(ValueError):
    """The clips at hand do not allow the protocol that was asked for."""


@dataclass(frozen=True)
class Split:
    """Row numbers of a table of clips: what one training learns, watches and is tested on."""

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def splits(
    table: pd.DataFrame, protocol: str, *, folds: int, seed: int, member: int = 0
) -> list[Split]:
    """Return the splits of a protocol.

    Args:
        table: of `corpora.scan`.
        protocol: 'random', 'speaker' or 'cross-corpus'.
        folds: number of speaker folds; the other protocols know their own number. RAVDESS is cut
            into its published `RAVDESS_FOLDS`, CREMA-D with `CREMA_D_FOLDS` into fixed ones.
        seed: of everything else that is drawn.
        member: of an ensemble, from 0: all are tested on the same clips, and each draws the clips
            that it validates on.

    Raises:
        ProtocolError: too few clips, speakers or corpora.
    """
    if protocol == "random":
        tests = [("80/20", _draw_random(table, np.arange(len(table)), TEST_SHARE, seed))]
    elif protocol == "speaker":
        tests = _speaker_tests(table, folds)
    else:
        names = sorted(table.corpus.unique())
        if len(names) < 2:
            raise ProtocolError(
                f"The cross-corpus protocol needs at least two corpora, found {', '.join(names)}. "
                "Name more folders with --data."
            )
        tests = [(name, np.flatnonzero(table.corpus == name)) for name in names]
        for name, test in tests:
            voices = table.speaker.iloc[test]
            others = table.emotion[(table.corpus != name) & ~table.speaker.isin(voices)]
            shared = set(others) & set(table.emotion.iloc[test])
            if len(shared) < 2:
                raise ProtocolError(
                    f"{name} has {' and '.join(shared) or 'no emotion'} in common with the other "
                    "corpora, two emotions are needed to test across them. Leave it out, or "
                    "evaluate by speaker."
                )
    by_speaker = protocol != "random"
    result = []
    for number, (name, test) in enumerate(tests):
        # Somebody may have recorded two corpora of one's own.
        heard = table.speaker.isin(table.speaker.iloc[test]).to_numpy() & by_speaker
        rest = np.setdiff1d(np.flatnonzero(~heard), test)
        # Each fold draws its own: the temperature of the model that is kept comes from all of them.
        draw = seed + 1000 * number + 100_000 * member
        train, validation = carve_validation(table, rest, by_speaker=by_speaker, seed=draw)
        result.append(Split(name, train, validation, test))
    for split in result:
        check_split(table, split, by_speaker=by_speaker)
    return result


def carve_validation(
    table: pd.DataFrame, rows: np.ndarray, *, by_speaker: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide training rows into those to train on and those to validate on.

    Speakers are set aside of each corpus that has some to spare, for how sure a network may be
    differs from one to another.

    Raises:
        ProtocolError: too few clips or speakers to set some aside.
    """
    if by_speaker:
        speakers = np.sort(table.speaker.iloc[rows].unique())
        if len(speakers) < 2:
            raise ProtocolError(
                f"Found {len(speakers)} speaker to train on; at least 2 are needed, so that one "
                "can be set aside for validation. Add recordings of other people."
            )
        rng = np.random.default_rng(seed)
        voices = list(table.iloc[rows].groupby("corpus").speaker.unique())
        quotas = [round(VALIDATION_SHARE * len(names)) for names in voices]
        if not any(quotas):
            voices, quotas = [speakers], [1]
        aside = [
            rng.choice(np.sort(names), quota, replace=False)
            for names, quota in zip(voices, quotas, strict=True)
        ]
        validation = rows[table.speaker.iloc[rows].isin(np.concatenate(aside)).to_numpy()]
    else:
        validation = _draw_random(table, rows, VALIDATION_SHARE, seed)
    return np.setdiff1d(rows, validation), validation


def carve_final(table: pd.DataFrame, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide all clips into those that a model is trained on and those for its temperature.

    By speaker, unless there is but one, or all draws take the only voice of an emotion.

    Raises:
        ProtocolError: too few clips to set some aside.
    """
    rows = np.arange(len(table))
    if table.speaker.nunique() > 1:
        for draw in range(DRAWS):
            train, validation = carve_validation(
                table, rows, by_speaker=True, seed=seed + 1000 * draw
            )
            if set(table.emotion.iloc[train]) == set(table.emotion):
                return train, validation
    return carve_validation(table, rows, by_speaker=False, seed=seed)


def check_split(table: pd.DataFrame, split: Split, *, by_speaker: bool) -> None:
    """Make sure that nothing crosses the borders of a split.

    Raises:
        ProtocolError: a clip, and with `by_speaker` a speaker, otherwise a recording is on two
            sides. (Two people may be heard in one recording.)
    """
    sides = {"train": split.train, "validation": split.validation, "test": split.test}
    alone = {"speaker": table.speaker} if by_speaker else {"recording": _recordings(table)}
    for what, values in {"clip": table.path, **alone}.items():
        owner: dict[str, str] = {}
        for side, rows in sides.items():
            for value in values.iloc[rows].unique():
                if value in owner:
                    raise ProtocolError(
                        f"Split {split.name}: the {what} {value} is in {owner[value]} and {side}."
                    )
                owner[value] = side


def _draw_random(table: pd.DataFrame, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw a share of the recordings: what was cut from one stays together."""
    from sklearn.model_selection import train_test_split

    recording, _ = pd.factorize(_recordings(table).iloc[rows])
    first = np.unique(recording, return_index=True)[1]
    emotions = table.emotion.iloc[rows[first]]
    try:
        drawn = train_test_split(
            np.arange(len(first)), test_size=share, stratify=emotions, random_state=seed
        )[1]
    except ValueError:
        raise ProtocolError(
            f"Found {len(first)} recordings of {emotions.nunique()} emotions: too few to set "
            f"{share:.0%} aside with every emotion on both sides. Expected are more than "
            f"{(emotions.nunique() - 1) / share:.0f}, and 2 of each emotion. Add recordings."
        ) from None
    return rows[np.isin(recording, drawn)]


def _recordings(table: pd.DataFrame) -> pd.Series:
    """Return what each clip was cut from: the page keeps stretches of a recording that overlap."""
    mine = table.path[table.corpus == corpora.OWN].map(my_recordings.recording)
    return mine.reindex(table.index).fillna(table.path)


def _speaker_tests(table: pd.DataFrame, folds: int) -> list[tuple[str, np.ndarray]]:
    """Return the test rows of each fold: fixed folds where there are any, drawn ones otherwise."""
    found = table.speaker.nunique()
    needed = max(4 if folds == 2 else 3, folds)  # two to train with, in each fold
    if found < needed:
        other = f", or ask for --folds {found}" if found >= 3 else ""
        raise ProtocolError(
            f"The speaker protocol with {folds} folds needs at least {needed} speakers, found "
            f"{found}. Add recordings of other people{other}, or --evaluate random."
        )
    fold = table.speaker.map(_fixed_folds(folds)).fillna(-1).to_numpy(int, copy=True)
    fixed = fold >= 0
    voices = table.speaker[fixed].groupby(fold[fixed]).nunique()
    if voices.sum() - voices.max() < 2:  # a few of the actors: their folds leave nobody to learn
        fold[:] = -1
    rest = np.flatnonzero(fold < 0)
    if len(rest):
        fold[rest] = _draw_folds(table.iloc[rest], folds)
    tests = [(number, np.flatnonzero(fold == number)) for number in range(folds)]
    tests = [(number, test) for number, test in tests if len(test)]
    if set(table.corpus) == {"RAVDESS"} and not len(rest):
        actors = RAVDESS_FOLDS[folds]
        return [(" ".join(map(str, actors[number])), test) for number, test in tests]
    return [(f"fold {number + 1}", test) for number, test in tests]


def _fixed_folds(folds: int) -> dict[str, int]:
    """Return the fold, from 0, of the speakers whose folds are fixed for this number of folds."""
    fixed = {
        f"RAVDESS-{actor:02d}": number
        for number, actors in enumerate(RAVDESS_FOLDS.get(folds, []))
        for actor in actors
    }
    if folds == CREMA_D_FOLDS:
        fixed |= {f"CREMA-D-{speaker}": speaker % folds for speaker in range(1001, 1092)}
    return fixed


def _draw_folds(table: pd.DataFrame, folds: int) -> np.ndarray:
    """Return the fold, from 0, of each clip: a speaker's clips in one, emotions balanced.

    Drawn the same whatever the seed of a training, so that seeds can be compared.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    speakers = np.sort(table.speaker.unique())
    if len(speakers) < folds:
        return np.searchsorted(speakers, table.speaker) % folds
    fold = np.empty(len(table), int)
    kfold = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    try:
        with warnings.catch_warnings():  # of emotions that are not in every fold
            warnings.simplefilter("ignore", UserWarning)
            tests = kfold.split(table.path, table.emotion, groups=table.speaker)
            for number, (_, test) in enumerate(tests):
                fold[test] = number
    except ValueError:
        raise ProtocolError(
            f"Found at most {table.emotion.value_counts().iloc[0]} clips of one emotion: too few "
            f"for {folds} folds. Ask for fewer --folds, or add recordings."
        ) from None
    return fold
