"""Write docs/licences.md: the licence of each package, as its own metadata tell it.

    make licences

Needs all of requirements-dev.txt installed.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
MAX_LENGTH = 80  # characters; more is the text of a licence, not its name

_TEXT = """# Licences of the packages

Written by `docs/make_licences.py` from the metadata of the installed packages; a wheel may hold
libraries with licences of their own, which it names in its folder. Two need a second look:

- **av** brings FFmpeg along, here as: {ffmpeg}.
- **opensmile** holds a library that audEERING licenses on terms of its own. Only
  `benchmarks/opensmile_svm.py` and `benchmarks/speed.py` use it; the program never does.

## What the program needs

{program}

## What tests, lint and benchmarks add

{development}

## What all of these bring along

{others}
"""


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """Return the page."""
    import av

    program, development, locked = map(
        requirements, ("requirements.txt", "requirements-dev.txt", "requirements.lock")
    )
    others = sorted(set(locked) - set(program) - set(development))
    return _TEXT.format(
        ffmpeg=av._core.library_meta["libavcodec"]["license"],
        program=_table(program),
        development=_table(development),
        others=_table(others),
    )


def requirements(name: str) -> list[str]:
    """Return the names of the packages in a file of requirements."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return list(
        dict.fromkeys(
            m[0].lower()
            for line in lines
            if (m := re.match(r"[\w.-]{2,}", line)) and line[0] != "-"
        )
    )


def licence(package: Distribution) -> str:
    """Return the name of a package's licence."""
    metadata = package.metadata
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    named, text = metadata["License-Expression"], metadata["License"] or ""
    if named:
        return named
    if text and len(text) <= MAX_LENGTH:
        return text
    return ", ".join([*classifiers, *(["a text of its own"] if text or not classifiers else [])])


def _table(names: list[str]) -> str:
    lines = ["| package | licence |", "| --- | --- |"]
    for name in names:
        try:
            lines.append(f"| {name} | {licence(distribution(name))} |")
        except PackageNotFoundError:  # of another system or Python
            continue
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
