"""What is heard in a voice whatever it says."""

import numpy as np
import pytest

import leaning


def test_a_long_piece_of_a_reference_says_more_than_a_short_one() -> None:
    said = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    usual = {"all": [-1.0, -1.0, -1.0], "quiet": [0.0, 0.0, 0.0]}
    found = leaning.measure(said, np.array([9.0, 1.0]), ["angry", "neutral", "sad"], usual)
    expected = 0.9 * np.log(said[0]) + 0.1 * np.log(said[1]) + 1
    np.testing.assert_allclose(found.logs, expected)
    assert found.share == pytest.approx(10 / (10 + leaning.HALF_KNOWN_SECONDS))
    # Nine seconds of quiet speech and a shout are quiet speech.
    said = np.array([[0.3, 0.6, 0.1], [0.98, 0.01, 0.01]])
    found = leaning.measure(said, np.array([9.0, 1.0]), ["angry", "neutral", "sad"], usual)
    np.testing.assert_allclose(found.logs, 0.9 * np.log(said[0]) + 0.1 * np.log(said[1]))
