"""Folders of labelled speech -> one table: path, emotion, speaker, corpus, channel.

A corpus is recognised by the names of its files, so corpora may be mixed in one folder and lie
flat or nested. What follows no known naming is labelled by the folder it lies in, or by a CSV list.
"""

import csv
import io
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TextIO

import files
import limits
from audio import EXTENSIONS, printable

if TYPE_CHECKING:
    import pandas as pd

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
OWN = "my_recordings"  # the corpus of what was saved on the page: my_recordings.py
MAX_QUOTED = 200  # characters of what a message quotes of a list
LOG = logging.getLogger("corpora")
AnyPath = str | os.PathLike[str]
Found = list[tuple[str, "Clip"]]  # path, and what is known of it

_WORDS = {
    "angry": "angry anger",
    "calm": "calm calmness",
    "disgust": "disgust disgusted",
    "fearful": "fearful fear afraid scared",
    "happy": "happy happiness joy joyful",
    "neutral": "neutral",
    "sad": "sad sadness",
    "surprised": "surprised surprise pleasantsurprise pleasantsurprised",
}
_SYNONYMS = {word: emotion for emotion, words in _WORDS.items() for word in words.split()}

# TESS holds one misnamed file, OA_bite_neutral; CREMA-D one, 1040_ITH_SAD_X.
_NAMES = {
    "RAVDESS": r"0[13]-(?P<channel>0[12])-(?P<code>0[1-8])(-0[12]){3}"
    r"-(?P<speaker>0[1-9]|1\d|2[0-4])",
    "CREMA-D": r"(?P<speaker>10\d\d)_[A-Z]{3}_(?P<code>ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)",
    "TESS": r"(?P<speaker>[OY]A)F?_[A-Z]+_(?P<code>angry|disgust|fear|happy|neutral|ps|sad)",
    "SAVEE": r"(?P<speaker>DC|JE|JK|KL)_(?P<code>a|d|f|h|n|sa|su)\d\d",
    "EMO-DB": r"(?P<speaker>03|08|09|1[0-6])[AB]\d\d(?P<code>[WLEAFTN])[A-Z]",
    OWN: rf"(?P<speaker>[a-z0-9-]+)_(?P<code>{'|'.join(EMOTIONS)})_[0-9a-f]{{16}}(-\d+-\d+)?",
}
# What the codes mean that are not words of ours. `scan` leaves boredom out.
_CODES = {
    "RAVDESS": "01=neutral 02=calm 03=happy 04=sad 05=angry 06=fearful 07=disgust 08=surprised",
    "CREMA-D": "ang=angry dis=disgust fea=fearful hap=happy neu=neutral sad=sad",
    "TESS": "fear=fearful ps=surprised",
    "SAVEE": "a=angry d=disgust f=fearful h=happy n=neutral sa=sad su=surprised",
    "EMO-DB": "w=angry l=boredom e=disgust a=fearful f=happy t=sad n=neutral",
    OWN: "",
}
_EXAMPLES = (
    "03-01-06-01-02-01-12.wav (RAVDESS), 1001_DFA_ANG_XX.wav (CREMA-D), OAF_back_angry.wav (TESS), "
    "DC_a01.wav (SAVEE), 03a01Fa.wav (EMO-DB), or a folder per emotion such as angry/clip.wav"
)

# Faults of CREMA-D that a comparison of bytes misses, because each copy was encoded on its own.
_TWINS = "1006_TIE_NEU_XX 1006_TIE_HAP_XX 1013_WSI_DIS_XX 1013_WSI_SAD_XX "
_TWINS += "1017_IWW_ANG_XX 1017_IWW_FEA_XX"
_FAULTS = dict.fromkeys(_TWINS.split(), "another clip holds the same sound with another label")
_FAULTS["1076_MTI_SAD_XX"] = "digital silence"

# Who is who, as the corpora's makers tell; CREMA-D's in its VideoDemographics.csv.
_CREMA_D_WOMEN = "1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 "
_CREMA_D_WOMEN += "1029 1030 1037 1043 1046 1047 1049 1052 1053 1054 1055 1056 1058 1060 1061 "
_CREMA_D_WOMEN += "1063 1072 1073 1074 1075 1076 1078 1079 1082 1084 1089 1091"
_WOMEN = {
    "RAVDESS": {f"{actor:02d}" for actor in range(2, 25, 2)},
    "CREMA-D": set(_CREMA_D_WOMEN.split()),
    "TESS": {"OAF", "YAF"},
    "EMO-DB": {"08", "09", "13", "14", "16"},
}
_MEN = {
    "RAVDESS": {f"{actor:02d}" for actor in range(1, 25, 2)},
    "CREMA-D": {str(speaker) for speaker in range(1001, 1092)} - _WOMEN["CREMA-D"],
    "SAVEE": {"DC", "JE", "JK", "KL"},
    "EMO-DB": {"03", "10", "11", "12", "15"},
}

#: What the corpora's makers allow; a model trained on them inherits it.
LICENCES = {
    "RAVDESS": "CC BY-NC-SA 4.0",
    "CREMA-D": "ODbL 1.0",
    "TESS": "CC BY-NC-ND 4.0",
    "SAVEE": "on registration, research only",
    "EMO-DB": "free to use",
    OWN: "your own",
}


class CorpusError(ValueError):
    """A corpus, or a list of clips, that cannot be read; the message is one plain line."""


class Clip(NamedTuple):
    """What the name of a recording says.

    `speaker` is unique over all corpora. Of one's own recordings it is the name that was given, in
    lower case: angry/Alice, sad/alice and the alice of another folder are one voice.
    """

    emotion: str
    speaker: str
    corpus: str
    channel: str


def parse_name(path: AnyPath) -> Clip | None:
    """Read emotion and speaker off the file name of a known corpus, or of `my_recordings`.

    The parent folder is looked at where it names the speaker (SAVEE's DC/a01.wav). The file need
    not exist. None if the name follows none of these corpora or its emotion is none of EMOTIONS.
    """
    clip = _read_name(PurePath(path))
    return clip if clip and clip.emotion in EMOTIONS else None


def sex(speaker: str) -> str | None:
    """Return 'women' or 'men' for the speakers of the known corpora, None for everyone else."""
    corpus, _, number = speaker.rpartition("-")
    if number in _WOMEN.get(corpus, ()):
        return "women"
    return "men" if number in _MEN.get(corpus, ()) else None


def parse_emotion(word: str) -> str | None:
    """The emotion that a word stands for ('Anger', '01_joy', 'pleasant surprise'), or None."""
    return _SYNONYMS.get(re.sub(r"[^a-z]", "", word.lower()))


def parse_folders(path: AnyPath) -> str | None:
    """The emotion that one of the folders of a path names, or None.

    Pass the path relative to the folder that the user gave: what lies above is not about the clip.

    Raises:
        CorpusError: two folders of the path name different emotions.
    """
    emotions = {emotion for part in PurePath(path).parts[:-1] if (emotion := parse_emotion(part))}
    if len(emotions) > 1:
        found = " and ".join(sorted(emotions))
        raise CorpusError(
            f"{printable(path)} lies in folders of {found}: one is expected; rename a folder"
        )
    return emotions.pop() if emotions else None


def read_list(file: AnyPath, *, labelled: bool = True) -> list[tuple[AnyPath, str, str]]:
    """Read a CSV list of clips (UTF-8, separator comma or semicolon).

    The first column holds the paths, relative to the folder of the list, or addresses; the column
    `emotion` the labels; an optional column `speaker` the speakers. `labelled` demands an emotion
    in every row.

    Returns:
        Path, emotion, speaker of each row ('' where not given). The files need not exist.

    Raises:
        CorpusError: unreadable list, missing column or value, or an emotion that is not known.
    """
    try:
        with open(file, "rb") as content:
            return parse_list(file, content, labelled=labelled)
    except OSError as error:
        raise CorpusError(f"{file} cannot be read as a UTF-8 CSV list: {error}") from error


def parse_list(
    file: AnyPath, content: BinaryIO, *, labelled: bool = True
) -> list[tuple[AnyPath, str, str]]:
    """Do as `read_list` with the content of a list, which need not lie at `file`.

    Raises:
        CorpusError: as `read_list`.
    """
    file = Path(file)
    text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    try:
        rows = _read_rows(text)
        _, names = next(rows, (0, []))
        columns = [column.lower() for column in names]
        if columns and ("://" in columns[0] or PurePath(columns[0]).suffix in EXTENSIONS):
            raise CorpusError(
                f"{file} starts with {_short(columns[0])}, a line of column names is expected"
            )
        first = next(rows, None)
        if first is None:
            raise CorpusError(
                f"{file} lists no clips: a line of column names, then rows are expected"
            )
        if labelled and "emotion" not in columns[1:]:
            raise CorpusError(
                f"{file} has the columns {_short(columns)}, first path and then emotion expected"
            )
        clips = list[tuple[AnyPath, str, str]]()
        for number, row in itertools.chain([first], rows):
            where = f"{file}, row {number}"
            if len(clips) == limits.LIST_ROWS:
                raise CorpusError(
                    f"{where}: more than {limits.LIST_ROWS} rows; cut the list into several"
                )
            values = dict(zip(columns, row, strict=False))
            nameless = labelled and values.get("speaker") == ""
            if len(row) != len(columns) or not row[0] or nameless:
                raise CorpusError(
                    f"{where}: {_short(row)} found, a value for each of {_short(columns)} is "
                    "expected"
                )
            word, speaker = values.get("emotion", ""), values.get("speaker", "")
            emotion = parse_emotion(word) or ""
            if not emotion and (word or labelled):
                raise CorpusError(
                    f"{where}: emotion '{_short(word)}' found, one of {EMOTIONS} is expected"
                )
            path = row[0] if "://" in row[0] else file.parent / row[0]
            clips.append((path, emotion, speaker))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{file} cannot be read as a UTF-8 CSV list: {error}") from error
    finally:
        text.detach()  # whoever opened the content closes it
    return clips


def _read_rows(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of the rows of a CSV file that are not empty, its columns first."""

    def lines() -> Iterator[str]:
        while line := text.readline(limits.LIST_LINE + 1):
            if len(line) > limits.LIST_LINE:
                raise csv.Error(f"a line of more than {limits.LIST_LINE} characters")
            yield line

    first = next(lines(), "")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(itertools.chain([first], lines()), delimiter=delimiter)
    for row in reader:
        if any(row):
            yield reader.line_num, [cell.strip() for cell in row]


def _short(found: object) -> str:
    """Return what a message quotes, cut where it is no line any more."""
    text = printable(found)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"


def scan(*sources: AnyPath) -> "pd.DataFrame":
    """Find the labelled clips of folders (searched with all below, links too) and `.csv` lists.

    Names of the known corpora win over folder names. Otherwise the folder given is the corpus, and
    the first folder inside it that is no emotion is the speaker, above or below the emotion's
    (alice/angry/clip.wav, angry/alice/clip.wav). Where a clip lies in no such folder, or a list has
    no column `speaker`, nobody can tell whose voice it holds: all clips of that corpus then count
    as one speaker, so that a split by speaker never puts one voice on both sides.

    Left out, with a warning: files that are empty or cannot be opened, the known faults of CREMA-D,
    and the same sound (byte for byte, or by a known name) under two labels. Of copies with one
    label the first counts. Nothing is decoded here, for speed: a clip that is silent or broken
    inside has to be dropped where features are extracted.

    Returns:
        Columns path, emotion, speaker, corpus, channel ('speech' or 'song'); sorted by path.

    Raises:
        CorpusError: a source that is missing, empty, without labels, or contradicts itself.
    """
    import pandas as pd

    clips: Found = []
    for source in map(Path, sources):
        if source.is_dir():
            clips += _scan_folder(source)
        elif source.is_file() and source.suffix.lower() == ".csv":
            clips += _scan_list(source)
        else:
            found = "is a file" if source.exists() else "does not exist"
            raise CorpusError(f"{source} {found}; a folder or a .csv list is expected")
    usable = _drop_faulty(sorted(set(_name_speakers(clips))))
    if not usable:
        raise CorpusError("no usable clip is left: the warnings say what is wrong with each")
    rows = [(path, *clip) for path, clip in usable]
    return pd.DataFrame(rows, columns=["path", *Clip._fields], dtype=str)


def _read_name(path: PurePath) -> Clip | None:
    for name in (path.stem, f"{path.parent.name}_{path.stem}"):
        for corpus, pattern in _NAMES.items():
            if match := re.fullmatch(pattern, name, re.IGNORECASE):
                found = match.groupdict()
                speaker = f"{corpus}-{found['speaker'].upper()}{'F' if corpus == 'TESS' else ''}"
                if corpus == OWN:
                    speaker = found["speaker"].lower()
                channel = "song" if found.get("channel") == "02" else "speech"
                meaning = dict(pair.split("=") for pair in _CODES[corpus].split())
                emotion = meaning.get(found["code"].lower(), found["code"].lower())
                return Clip(emotion, speaker, corpus, channel)
    return None


def _audio_files(folder: Path, unreadable: list[OSError]) -> Iterator[Path]:
    """Yield the audio files in a folder, and collect why a folder in it cannot be looked into."""
    visited = set()
    for parent, folders, names in os.walk(folder, onerror=unreadable.append, followlinks=True):
        real = os.path.realpath(parent)
        # Hidden: unfinished downloads, and what macOS adds to archives. Visited: links that loop.
        folders[:] = sorted(f for f in folders if not f.startswith(".") and real not in visited)
        for name in names if real not in visited else ():
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(parent, name)
        visited.add(real)


def _scan_folder(folder: Path) -> Found:
    root = Path(os.path.abspath(folder))
    if parse_emotion(root.name):  # the folder of a single emotion was given
        root = root.parent
    clips, others, inner = [], dict[str, list[Path]](), dict[str, set[str]]()
    unreadable: list[OSError] = []
    for path in _audio_files(folder, unreadable):
        relative = Path(os.path.abspath(path)).relative_to(root)
        clip = _read_name(root.name / relative)
        if clip is None and (emotion := parse_folders(relative)):
            people = [name for name in relative.parts[:-1] if not parse_emotion(name)]
            clip = Clip(emotion, "".join(people[:1]).lower(), root.name, "speech")
            if people:
                inner.setdefault(people[0], set()).update(people[1:2])
        if clip and clip.emotion in EMOTIONS:
            clips.append((str(path), clip))
        else:
            kind = f"of {clip.emotion}" if clip else "without an emotion in name or folder"
            others.setdefault(kind, []).append(path)
    found = [f"{len(paths)} audio files {kind} ({paths[0]})" for kind, paths in others.items()]
    found += [f"{error.filename}, which cannot be read ({error.strerror})" for error in unreadable]
    if not clips:
        holds = ", ".join(found) or "no audio file"
        raise CorpusError(f"{folder} holds {holds}; names expected are {_EXAMPLES}")
    for line in found:
        LOG.warning("%s: left out %s", folder, printable(line))
    for person, below in inner.items():
        if len(below) > 1:
            LOG.warning(
                "%s counts as one speaker; if it holds several (%s), give it by itself",
                printable(str(folder / person)),
                printable(", ".join(sorted(below)[:3])),
            )
    return clips


def _scan_list(file: Path) -> Found:
    clips = []
    for path, emotion, speaker in read_list(file):
        # A known name tells the speaker as other folders tell it, so one voice keeps one name.
        own = Clip(emotion, speaker.lower(), file.stem, "speech")
        clip = _read_name(PurePath(path)) or own
        clips.append((str(path), clip._replace(emotion=emotion)))
    return clips


def _name_speakers(clips: Found) -> Found:
    nameless = Counter(clip.corpus for _, clip in clips if not clip.speaker)
    for corpus, count in nameless.items():
        said = "%s counts as one speaker: no name is known of %d of its clips"
        LOG.warning(said, corpus, count)
    # All its clips, for a nameless one may hold the voice of a speaker whom another one names.
    unknown = {corpus: f"{corpus}-unknown" for corpus in nameless}
    return [(path, c._replace(speaker=unknown.get(c.corpus, c.speaker))) for path, c in clips]


def _drop_faulty(clips: Found) -> Found:
    usable, sizes = [], {}
    for path, clip in clips:
        readable = os.path.isfile(path) and os.access(path, os.R_OK)
        sizes[path] = os.path.getsize(path) if readable else 0
        fault = _FAULTS.get(Path(path).stem.upper())
        if not sizes[path]:
            fault = "empty or not readable" if os.path.exists(path) else "does not exist"
        if path != path.encode(errors="replace").decode():
            fault = "its name is not UTF-8; rename it"
        if fault:
            LOG.warning("%s left out: %s", printable(path), fault)
        else:
            usable.append((path, clip))
    usable = _drop_copies(usable, _recording)
    # Only files of one size can be equal, so most are never read.
    count = Counter(sizes[path] for path, _ in usable)
    return _drop_copies(usable, lambda path: files.sha256(path) if count[sizes[path]] > 1 else path)


def _drop_copies(clips: Found, identity: Callable[[str], str]) -> Found:
    """Of the clips of one identity keep the first, or none where their labels differ."""
    groups: dict[str, Found] = {}
    for path, clip in clips:
        groups.setdefault(identity(path), []).append((path, clip))
    copies = []
    for sound, group in list(groups.items()):
        labels = sorted({clip.emotion for _, clip in group})
        if len(labels) == 1:
            copies += [f"{path} of {group[0][0]}" for path, _ in group[1:]]
        else:
            del groups[sound]
            for path, _ in group:
                place = printable(path)
                LOG.warning("%s left out: the same sound is labelled %s", place, labels)
    if copies:
        LOG.warning("copies left out: %d, such as %s", len(copies), printable(copies[0]))
    return [group[0] for group in groups.values()]


def _recording(path: str) -> str:
    """One text for all files of a recording (RAVDESS: 01- with film, 03- without), or the path."""
    clip = _read_name(Path(path))
    return f"{clip.speaker} {re.sub('^0[13]-', '', Path(path).stem.lower())}" if clip else path
