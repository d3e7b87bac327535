"""What a network hears in a known voice whatever it says, and how that is taken off its answers.

Some people sound angry or sad whatever they say, to a network as to people. The mean of its
log-probabilities over some of a person's speech, less what is usual, is that leaning. All numbers
here but `SHARPENING` were chosen on validation speakers (docs/experiments.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: After so many seconds of it, half of what was heard of a voice's leaning is taken for the voice,
#: the rest for the mood of the moment.
HALF_KNOWN_SECONDS = 20.0

#: What is left of an answer without the leaning is more often right than its probability says, and
#: its logits are that much larger where all of the leaning is taken off.
SHARPENING = 0.5

#: The emotions of ordinary speech, and how probable they must be on average in a reference that
#: passes for it.
QUIET = ("calm", "neutral")
QUIET_PROBABILITY = 0.35

#: A network is surer of the clips that it learned from: of how it tells quiet ones from others,
#: this share is left for voices that it never heard.
UNHEARD_SHARE = 0.5


@dataclass(frozen=True)
class Leaning:
    """What is taken off the answers to a known voice.

    Attributes:
        logs: (emotions,) log-probabilities more than usual.
        share: of them that is taken off, from 0 to 1.
    """

    logs: np.ndarray
    share: float

    def take_off(self, probabilities: np.ndarray) -> np.ndarray:
        """Return (..., emotions) probabilities less the leaning, and sharper for it."""
        logs = _log(probabilities) - self.share * self.logs
        logs *= 1 + SHARPENING * self.share
        weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)


def measure(
    probabilities: np.ndarray,
    seconds: np.ndarray,
    labels: Sequence[str],
    usual: dict[str, Sequence[float]],
) -> Leaning:
    """Return how a voice leans, from what a network says of some of its speech.

    What sounds neutral or calm is compared with such speech, anything else with all emotions alike.

    Args:
        probabilities: (pieces, emotions) of the speech.
        seconds: (pieces,) how long each is.
        labels: the emotions, in order.
        usual: of `usual`.
    """
    quiet = probabilities[:, np.isin(labels, QUIET)].sum(axis=1)
    kind = "quiet" if np.average(quiet, weights=seconds) > QUIET_PROBABILITY else "all"
    logs = np.average(_log(probabilities), axis=0, weights=seconds) - usual[kind]
    heard = seconds.sum()
    return Leaning(logs, float(heard / (heard + HALF_KNOWN_SECONDS)))


def usual(probabilities: np.ndarray, table: "pd.DataFrame") -> dict[str, list[float]]:
    """Return what a network usually says of voices, from what it says of its training clips.

    Each corpus counts the same, and in it each emotion, by its speech where there is any.

    Args:
        probabilities: (clips, emotions).
        table: the clips: corpus, emotion, channel.

    Returns:
        (emotions,) log-probabilities of `all` emotions and of the `quiet` ones; where there are
        none of these, both are the same.
    """
    import pandas as pd

    groups = [table[name].to_numpy() for name in ("corpus", "emotion")]
    song = (table.channel != "speech").to_numpy()
    means = pd.DataFrame(_log(probabilities)).groupby([*groups, song]).mean()
    means = means.groupby(level=[0, 1]).first()  # speech comes before song
    everything = means.groupby(level=0).mean().mean()
    quiet = means[means.index.isin(QUIET, level=1)].groupby(level=0).mean().mean()
    quiet = everything + UNHEARD_SHARE * (quiet - everything).fillna(0.0)
    return {"all": everything.round(4).tolist(), "quiet": quiet.round(4).tolist()}


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
