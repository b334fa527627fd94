"""A task log as a Markdown file: what had to be done, what was seen and decided, what was run,
what came of it.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from django.utils.text import slugify

FOLDER = ".task_logs"
SLUG_BYTES = 100
TITLE_CHARACTERS = 200
# Name of a section → its heading, in the order of the file.
SECTIONS = {
    "goal": "Goal",
    "notes": "Notes",
    "decisions": "Decisions",
    "commands": "Commands run",
    "outcome": "Outcome",
}


class NoFile(Exception):
    """The file could not be made; the text is one sentence for the person."""


def title_of(description: str) -> str:
    """Return a description on one line, without control characters and not too long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in description)
    return " ".join(printable.split())[:TITLE_CHARACTERS].strip()


def slug_of(description: str) -> str:
    """Return a part of a file's name in letters, digits and hyphens, at most `SLUG_BYTES` long;
    never empty.
    """
    cut = slugify(description, allow_unicode=True).encode()[:SLUG_BYTES].decode("utf-8", "ignore")
    return cut.strip("-_") or "task"


def file_name(description: str, at: datetime) -> str:
    """Return `20261126-024500-what-was-done.md`"""
    return f"{at:%Y%m%d-%H%M%S}-{slug_of(description)}.md"


def markdown(title: str, sections: Mapping[str, str], about: str = "") -> str:
    """Return the whole file; `about` is a line below the title that says where it belongs."""
    parts = [f"# {title}", *([about] if about else [])]
    for name, heading in SECTIONS.items():
        parts += [f"## {heading}", *([text] if (text := sections.get(name, "").strip()) else [])]
    return "\n\n".join(parts) + "\n"


def sections_of(text: str) -> dict[str, str]:
    """Return the sections of a file that `markdown` or a person wrote, by name; other headings
    belong to the section above them.
    """
    names = {heading.lower(): name for name, heading in SECTIONS.items()}
    sections: dict[str, list[str]] = {}
    at = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        heading = line.removeprefix("## ").strip().lower() if line.startswith("## ") else ""
        if heading in names:
            at = names[heading]
            sections.setdefault(at, [])
        elif at:
            sections[at].append(line)
    return {name: "\n".join(lines).strip() for name, lines in sections.items()}


def start(description: str, where: Path, *, at: datetime) -> Path:
    """Make an empty log in the folder of the repository around `where`, which git is told to
    ignore.

    A file that is there already is never written to. Raise `NoFile`.
    """
    title = title_of(description)
    if not title:
        raise NoFile("Say in a few words what the task is.")
    root = _root(where)
    folder = root / FOLDER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise NoFile(f"{folder} is there and is no folder of its own: move it away.")
    try:
        folder.mkdir(exist_ok=True)
        _ignore(root)
        return _write(folder, file_name(title, at), markdown(title, {}))
    except OSError as error:
        raise NoFile(f"The log cannot be written below {root}: {error.strerror}.") from None


def _root(where: Path) -> Path:
    try:
        done = _git(where, "rev-parse", "--show-toplevel")
    except OSError as error:
        raise NoFile(f"git cannot be run in {where}: {error.strerror}.") from None
    if done.returncode or not done.stdout.strip():
        raise NoFile(f"{where} is in no git repository with files: go into a clone first.")
    return Path(done.stdout.removesuffix("\n"))


def _ignore(root: Path) -> None:
    """Name the folder in `.git/info/exclude`, unless git ignores it already.

    Not in .gitignore: that is a file of the team, and a person's log is no reason for a commit.
    """
    if _git(root, "check-ignore", "--quiet", f"{FOLDER}/log.md").returncode == 0:
        return
    place = root / _git(root, "rev-parse", "--git-path", "info/exclude").stdout.removesuffix("\n")
    place.parent.mkdir(parents=True, exist_ok=True)
    known = place.read_text(errors="surrogateescape") if place.exists() else ""
    with place.open("a") as exclude:
        exclude.write(f"{'' if not known or known.endswith(chr(10)) else chr(10)}{FOLDER}/\n")


def _write(folder: Path, name: str, text: str) -> Path:
    for number in range(1, 1000):
        path = folder / (name if number == 1 else re.sub(r"\.md$", f"-{number}.md", name))
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path
    raise NoFile(f"There are too many logs named {name}: use another description.")


def _git(where: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", "-C", str(where), "-c", "safe.bareRepository=explicit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        errors="surrogateescape",
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
