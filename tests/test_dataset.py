"""Clips to features, once, and the same whatever joins them."""

import shutil
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import NOISY, TWO_EMOTIONS, extract, make_corpus

import dataset
import files
import workers
from audio import SAMPLE_RATE
from augment import NoiseAtSNR
from dataset import Sometimes


def test_the_second_extraction_is_read_from_the_cache(corpus, tmp_path, monkeypatch) -> None:
    first = extract(corpus, tmp_path, [(), NOISY])

    def forbidden(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(dataset, "_extract_chunk", forbidden)
    second = extract(corpus, tmp_path, [(), NOISY])
    np.testing.assert_array_equal(first.vectors(1), second.vectors(1))
    assert len(second.frames(0)) == len(second.table) == 32
    assert not list(tmp_path.glob("*.part"))
    moved = shutil.copytree(corpus, tmp_path / "elsewhere")  # with other times, as if unpacked anew
    again = extract(moved, tmp_path, [(), NOISY])
    assert again.copies == first.copies
    assert list(again.table.path) != list(first.table.path)


def test_what_changes_a_feature_changes_the_cache(corpus, tmp_path, monkeypatch) -> None:
    def files(**options) -> set[Path]:
        recipes = options.pop("recipes", [(), NOISY])
        return {f for copy in extract(corpus, tmp_path, recipes, **options).copies for f in copy}

    first = files()
    assert files(seed=1) & first  # the clips themselves
    assert files(seed=1) - first
    assert files(recipes=[(), (Sometimes(1.0, NoiseAtSNR(10, 21)),)]) - first
    monkeypatch.setattr(dataset.features, "FEATURE_VERSION", 99)
    assert not files() & first


def test_a_clip_draws_the_same_noise_whatever_joins_the_corpus(corpus, tmp_path) -> None:
    alone = extract(corpus / "sad", tmp_path / "a", [(), NOISY])
    among = extract(corpus, tmp_path / "b", [(), NOISY])
    rows = [list(among.table.path).index(path) for path in alone.table.path]
    np.testing.assert_array_equal(alone.vectors(1), among.vectors(1)[rows])
    assert not np.allclose(alone.vectors(0), alone.vectors(1))


def test_silent_and_unreadable_clips_are_left_out_and_said(tmp_path, caplog) -> None:
    corpus = make_corpus(tmp_path / "mine", clips=2)
    (corpus / "sad" / "voice00").mkdir()  # one that is silent throughout
    for samples, name in ((9000, "voice0/silent.wav"), (8000, "voice00/silent.wav")):
        soundfile.write(corpus / "sad" / name, np.zeros(samples), SAMPLE_RATE)
    (corpus / "sad" / "voice0" / "text.wav").write_text("not a sound")
    found = extract(corpus, tmp_path / "cache", [(), NOISY])
    assert len(found.table) == len(found.frames(0)) == len(found.frames(1)) == 16
    assert list(found.table.index) == list(range(16))
    said = [record.getMessage() for record in caplog.records]
    assert sum("left out: it cannot be read, or is silent" in line for line in said) == 3
    for row, clip in enumerate(found.frames(0)):
        vector = dataset.features.extract_vector(soundfile.read(found.table.path[row])[0])
        np.testing.assert_allclose(found.vectors(0)[row], vector, rtol=1e-5, atol=1e-5)
        assert clip.shape[1] == 264


def small_corpus(tmp_path) -> Path:
    from conftest import make_corpus

    return make_corpus(tmp_path / "mine", speakers=1, clips=1)


def test_each_copy_of_a_clip_draws_its_own_noise(tmp_path) -> None:
    found = extract(small_corpus(tmp_path), tmp_path / "cache", [(), NOISY, NOISY])
    assert found.copies[1] != found.copies[2]
    assert not np.allclose(found.vectors(1), found.vectors(2))


def test_a_clip_that_was_recorded_anew_is_extracted_anew(tmp_path) -> None:
    corpus = small_corpus(tmp_path)
    before = extract(corpus, tmp_path / "cache", [()]).copies
    for emotion in TWO_EMOTIONS:
        clips = list((corpus / emotion).rglob("*.wav"))
        content = bytearray(clips[0].read_bytes())
        content[-2:] = b"\x05\x01"
        clips[0].write_bytes(content)
    after = extract(corpus, tmp_path / "cache", [()]).copies
    assert not set(before[0]) & set(after[0])


def test_copies_are_made_anew_when_their_transforms_change(tmp_path, monkeypatch) -> None:
    corpus = small_corpus(tmp_path)
    before = extract(corpus, tmp_path / "cache", [(), NOISY]).copies
    digest = files.sha256
    monkeypatch.setattr(
        files,
        "sha256",
        lambda file: digest(file) + ("x" if Path(file).name == "augment.py" else ""),
    )
    after = extract(corpus, tmp_path / "cache", [(), NOISY]).copies
    assert after[0] == before[0]
    assert not set(after[1]) & set(before[1])


def test_a_chunk_that_is_killed_while_written_is_none(tmp_path, monkeypatch) -> None:
    def half(file, **_: object) -> None:
        file.write(b"PK")
        raise KeyboardInterrupt

    corpus = small_corpus(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half)
        with pytest.raises(KeyboardInterrupt):
            extract(corpus, tmp_path / "cache", [()])
    assert len(extract(corpus, tmp_path / "cache", [()]).table) == 2


def test_a_damaged_chunk_is_named_and_what_to_do(tmp_path) -> None:
    corpus = small_corpus(tmp_path)
    file = extract(corpus, tmp_path / "cache", [()]).copies[0][0]
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(OSError, match="damaged, delete it") as error:
        extract(corpus, tmp_path / "cache", [()])
    assert error.value.filename == str(file)


@pytest.mark.parametrize("place", [0, 6, 8, 10, 16, 42])
def test_an_array_file_with_a_wrong_byte_is_named(tmp_path, place) -> None:
    """In an archive's directory: signature, version, encryption, method, checksum, offset."""
    file = tmp_path / "a.npz"
    np.savez(file, one=np.arange(9))
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + place] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(OSError, match="damaged, delete it") as error:
        files.arrays(file)
    assert error.value.filename == str(file)
    with pytest.raises(FileNotFoundError):
        files.arrays(tmp_path / "none.npz")


@pytest.mark.parametrize("name", ["frames.npy", "frames.pitch.npy", "frames.starts.npy"])
@pytest.mark.parametrize("content", [b"", bytes(200)])
def test_damaged_training_material_is_named_and_made_anew(tmp_path, name, content) -> None:
    found = extract(small_corpus(tmp_path), tmp_path / "cache", [()])
    dataset.pack(found, tmp_path / "frames.npy")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OSError, match="damaged, delete it") as error:
        dataset.Packed.open(tmp_path / "frames.npy")
    assert error.value.filename == str(tmp_path / name)
    (tmp_path / name).unlink()
    dataset.pack(found, tmp_path / "frames.npy")
    assert dataset.Packed.open(tmp_path / "frames.npy").clip(0, 0).shape[1] == 264


def test_clips_that_kill_their_process_twice_end_the_extraction(tmp_path, monkeypatch) -> None:

    monkeypatch.setattr(workers, "stream", lambda _, items, **__: ((item, None) for item in items))
    with pytest.raises(BrokenProcessPool, match="lost twice"):
        extract(small_corpus(tmp_path), tmp_path / "cache", [()])
