"""Clips → features, extracted in parallel, once: the second run finds them in a cache.

Clips are worked off in chunks of one folder. A chunk is the unit of parallel work, of progress and
of the cache, so an interrupted extraction loses the chunks in hand and no more. The key of a chunk
holds all that decides its content: the files (their names, which seed the transforms, and what is
in them), the version of the features (`features.FEATURE_VERSION`, raised by hand), the transforms
with their code, and the seed. Clips that move, or are unpacked once more, are found again.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import audio
import features
import files
import workers
from progress import UNWATCHED, Progress

LOG = logging.getLogger("dataset")

CHUNK_CLIPS = 32
WAITING = "Another training extracts features; this one goes on when that is done."


class Sometimes(NamedTuple):
    """A transform, and the probability with which a clip goes through it."""

    probability: float
    transform: Callable[[np.ndarray, np.random.Generator], np.ndarray]


#: The transforms that one copy of every clip goes through, in order. Without any: the clip itself.
Recipe = tuple[Sometimes, ...]


@dataclass(frozen=True)
class Dataset:
    """Clips and the files that hold their features.

    Attributes:
        table: of `corpora.scan`, less the clips that hold no sound; rows count from 0.
        copies: per recipe the files of all chunks, which together follow the table's rows.
    """

    table: pd.DataFrame
    copies: tuple[tuple[Path, ...], ...]

    def vectors(self, copy: int) -> np.ndarray:
        """Return the mean vectors of a copy: (clips, 264) float32."""
        return np.concatenate([_read(file, "vectors") for file in self.copies[copy]])

    def frames(self, copy: int) -> list[np.ndarray]:
        """Return the frames of a copy, silence trimmed: per clip (frames, 264) float32."""
        clips: list[np.ndarray] = []
        for file in self.copies[copy]:
            ends = np.cumsum(_read(file, "lengths"))
            clips.extend(np.split(_read(file, "frames"), ends)[:-1])
        return clips


@dataclass(frozen=True)
class Packed:
    """The frames of all clips in all copies, in files that all processes map into memory.

    Attributes:
        frames: (all frames, 264) float16 of `features.decibel`, one copy after the other.
        pitch: (all frames, 6) float16 of `pitch.contour`.
        starts: (copies, clips + 1) number of the first frame of each clip; the last entry of a copy
            is where it ends.
    """

    frames: np.ndarray
    pitch: np.ndarray
    starts: np.ndarray

    @classmethod
    def open(cls, file: Path) -> "Packed":
        """Map the files of `pack` into memory.

        Raises:
            OSError: one of them is missing or damaged; the error names it.
        """
        maps = []
        for part in _parts(file):
            with files.undamaged(part):
                maps.append(np.load(part, mmap_mode="r"))
        return cls(*maps)

    def clip(self, copy: int, row: int) -> np.ndarray:
        """Return the frames of one clip: (frames, 264) float32."""
        return self.frames[self._place(copy, row)].astype(np.float32)

    def contour(self, copy: int, row: int) -> np.ndarray:
        """Return the pitch of one clip: (frames, 6) float32."""
        return self.pitch[self._place(copy, row)].astype(np.float32)

    def _place(self, copy: int, row: int) -> slice:
        return slice(self.starts[copy, row], self.starts[copy, row + 1])


def pack(dataset: Dataset, file: Path) -> None:
    """Write the frames of all copies for `Packed.open`, unless the files are there already."""
    from tqdm import tqdm

    if all(part.exists() for part in _parts(file)):
        return
    chunks = [chunk for copy in dataset.copies for chunk in copy]
    lengths = [_read(chunk, "lengths") for chunk in chunks]
    per_copy = np.concatenate(lengths).reshape(len(dataset.copies), -1)
    ends = np.cumsum(per_copy).reshape(per_copy.shape)
    starts = np.concatenate([ends[:, :1] - per_copy[:, :1], ends], axis=1)
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)),
        "fortran_order": False,
        "shape": (int(ends[-1, -1]), len(features.FEATURE_NAMES)),
    }
    bar = {"desc": "training material", "unit": "chunk"}
    frames_file, *others = _parts(file)
    with files.whole(frames_file) as part, part.open("wb") as stream:
        # Not through a map of memory: a disk that is full then ends the process without a word.
        np.lib.format.write_array_header_1_0(stream, header)
        heard = []
        for chunk, clips in zip(tqdm(chunks, **bar), lengths, strict=True):
            frames = features.decibel(_read(chunk, "frames"))
            stream.write(frames.astype(np.float16).tobytes())
            heard.append(_contours(frames[:, features.MEL], clips).astype(np.float16))
    for other, content in zip(others, (np.concatenate(heard), starts), strict=True):
        with files.whole(other) as part, part.open("wb") as stream:
            np.save(stream, content)


def discard(file: Path) -> None:
    """Remove the files of `pack`, as far as they are there."""
    for part in _parts(file):
        part.unlink(missing_ok=True)


def _parts(file: Path) -> tuple[Path, Path, Path]:
    """Return the files of `pack`: of frames, pitch and starts, as in `Packed`."""
    return file, file.with_suffix(".pitch.npy"), file.with_suffix(".starts.npy")


def _contours(mel: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the pitch of clips that lie one behind the other: (frames, 6)."""
    import pitch

    if not len(lengths):
        return np.zeros((0, pitch.N_PITCH))
    # Side by side, the shorter ones continued with padding.
    is_frame = np.arange(lengths.max()) < lengths[:, np.newaxis]
    clips = np.zeros((*is_frame.shape, features.N_MELS), np.float32)
    clips[is_frame] = mel
    return np.asarray(pitch.contour(clips, is_frame[..., np.newaxis].astype(np.float32)))[is_frame]


def extract(
    table: pd.DataFrame,
    recipes: Sequence[Recipe],
    *,
    cache: Path,
    seed: int,
    jobs: int,
    scheduler: str | None = None,
    quiet: bool = False,
    progress: Progress = UNWATCHED,
) -> Dataset:
    """Extract the features of all clips under all recipes, or find them in the cache.

    Clips that cannot be read or hold digital silence are left out, each with a line in the log.

    Args:
        table: of `corpora.scan`.
        recipes: one copy of every clip is made by each; the first must be empty: the clip itself.
        cache: folder for the chunks.
        seed: of the transforms of the first copy; each further copy has the next one.
        jobs: processes.
        scheduler: address of a Dask cluster that does the work instead. The clips and the cache
            must be on disks that its workers share with this machine.
        quiet: show no progress bar.
        progress: for a program that watches.

    Raises:
        workers.ClusterError: the cluster cannot be reached, or does not share the cache.
        BrokenProcessPool: a process was killed, and another one with the same clips.
    """
    from concurrent.futures.process import BrokenProcessPool

    from tqdm import tqdm

    cache = cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    # Reading waits for the disk, and hashing lets other threads work.
    with ThreadPoolExecutor() as threads:
        contents = dict(zip(table.path, threads.map(_content, table.path), strict=True))
    # Only what can be heard is augmented, so the clips themselves come first.
    originals = _plan(table, contents, (), cache=cache, seed=0)

    def work(tasks: list["_Chunk"], title: str) -> None:
        with files.alone(cache / ".lock", wait=WAITING):
            files.sweep(cache)
            missing = [task for task in tasks if not task.file.exists()]
            bar = tqdm(
                total=sum(len(task.paths) for task in tasks),
                initial=sum(len(task.paths) for task in tasks if task.file.exists()),
                desc=title,
                unit="clip",
                disable=quiet,
            )
            with bar:
                done = workers.stream(_extract_chunk, missing, jobs=jobs, scheduler=scheduler)
                for task, clips in done:
                    if clips is None:
                        raise BrokenProcessPool(f"lost twice: {task.paths}")
                    if not task.file.exists():
                        raise workers.ClusterError(
                            f"{cache}, where the features go, is not the same folder on all "
                            "machines; put this program and the clips on a disk that they share"
                        )
                    bar.update(clips)
                    progress.note(step=title, done=bar.n, total=bar.total)

    work(originals, "features")
    heard = np.concatenate([_read(chunk.file, "heard") for chunk in originals])
    for path in table.path[~heard]:
        place = audio.printable(path)
        LOG.warning("%s left out: it cannot be read, or is silent throughout", place)
    augmented = [
        _plan(table[heard], contents, recipe, cache=cache, seed=seed + number)
        for number, recipe in enumerate(recipes[1:])
    ]
    work([chunk for copy in augmented for chunk in copy], "augmented copies")
    copies = tuple(tuple(chunk.file for chunk in chunks) for chunks in [originals, *augmented])
    return Dataset(table[heard].reset_index(drop=True), copies)


class _Chunk(NamedTuple):
    paths: list[str]
    recipe: Recipe
    seed: int
    file: Path


def _content(path: str) -> str | None:
    """Return a digest of what is in a file, None where it cannot be read."""
    try:
        return files.sha256(path)
    except OSError:
        return None


def _plan(
    table: pd.DataFrame,
    contents: Mapping[str, str | None],
    recipe: Recipe,
    *,
    cache: Path,
    seed: int,
) -> list[_Chunk]:
    """Cut the clips into chunks within their folders, which keeps chunks when others join."""
    folders = table.path.map(os.path.dirname)
    code = files.sha256(Path(__file__).with_name("augment.py")) if recipe else ""
    chunks = []
    # The table is sorted by path, but a folder may hold both clips and folders of clips.
    for _, run in table.path.groupby((folders != folders.shift()).cumsum()):
        for start in range(0, len(run), CHUNK_CLIPS):
            paths = list(run.iloc[start : start + CHUNK_CLIPS])
            clips = [(os.path.basename(path), contents[path]) for path in paths]
            content = json.dumps([features.FEATURE_VERSION, clips, repr(recipe), code, seed])
            key = hashlib.sha256(content.encode()).hexdigest()[:32]
            paths = [os.path.abspath(path) for path in paths]  # for workers in other folders
            chunks.append(_Chunk(paths, recipe, seed, cache / f"{key}.npz"))
    return chunks


def _extract_chunk(chunk: _Chunk) -> int:
    vectors, frames, heard = [], [], []
    for path in chunk.paths:
        try:
            waveform = audio.load(path)
        except audio.AudioError:
            # A disk that went away says nothing about the clip: that is an OSError, not kept.
            Path(path).open("rb").close()
            heard.append(False)
            continue
        heard.append(bool(np.any(waveform)))
        if not heard[-1]:
            continue
        # Seeded by the clip's name, not its place: the same numbers whatever joins the corpus.
        name = int.from_bytes(hashlib.sha256(Path(path).name.encode()).digest()[:8])
        rng = np.random.default_rng([chunk.seed, name])
        for probability, transform in chunk.recipe:
            if rng.random() < probability:
                waveform = transform(waveform, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", features.ShortWaveformWarning)
            clip = features.extract_frames(waveform)
        vectors.append(features.mean_vector(clip))
        frames.append(features.trim_silence(clip))
    empty = np.zeros((0, len(features.FEATURE_NAMES)), np.float32)
    chunk.file.parent.mkdir(parents=True, exist_ok=True)  # on another machine than the command's
    with files.whole(chunk.file) as part, part.open("wb") as file:
        np.savez(
            file,
            vectors=np.array(vectors) if vectors else empty,
            frames=np.concatenate([empty, *frames]),
            lengths=np.array([len(clip) for clip in frames], dtype=int),
            heard=np.array(heard),
        )
    return len(chunk.paths)


def _read(file: Path, name: str) -> np.ndarray:
    return files.arrays(file, name)[name]
