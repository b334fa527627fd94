"""Supports the install command: its tools and Python, and what a repository suggests."""

import posixpath
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

TOOLS = ("uv", "poetry", "pdm", "pipenv")
# In an environment: directories of the repository that it imports from, one a line.
LINKED = "portal-linked"
# By the file that says so, what a project most likely installs itself with; the first that is
# there.
_SUGGESTED = (
    ("uv.lock", "uv sync --frozen"),
    ("poetry.lock", "poetry install --no-root"),
    ("pdm.lock", "pdm sync --no-self"),
    ("Pipfile.lock", "pipenv sync"),
    ("requirements.txt", "pip install -r requirements.txt"),
    *(
        (f"requirements/{name}.txt", f"pip install -r requirements/{name}.txt")
        for name in ("base", "main", "production", "prod")
    ),
    ("pyproject.toml", "pip install ."),
    ("setup.py", "pip install ."),
)


def missing_tools(install: str) -> list[str]:
    """Return the tools that this command names and that this machine has not."""
    named = [tool for tool in TOOLS if re.search(rf"(?<![\w./-]){tool}(?=\s|\Z)", install)]
    return [tool for tool in named if not shutil.which(tool)]


def interpreter(wanted: str) -> tuple[str, str]:
    """Return the Python for a project that wants `wanted`, the text of `.python-version`.

    Ours takes the place of one that this machine has not; then there is a note.
    """
    named = re.search(r"(\d+\.\d+)", wanted)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if named is None or named[1] == ours:
        return sys.executable, ""
    if path := shutil.which(f"python{named[1]}"):
        return path, ""
    return sys.executable, f"Python {named[1]} is not here; {ours} takes its place."


def suggested_install(paths: Collection[str], here: str) -> str:
    """Return the install command of the lock file nearest to `here`; "" for none."""
    for place in dict.fromkeys([here, *_above(here)]):
        for name, install in _SUGGESTED:
            if posixpath.join(place, name) in paths:
                if name == "uv.lock" and posixpath.join(here, "pyproject.toml") in paths:
                    place = here  # a member of a workspace, whose lock lies above
                return f"cd {place} && {install}" if place else install
    return ""


def _above(path: str) -> Iterator[str]:
    while path:
        path = posixpath.dirname(path)
        yield path


def note_links(environment: Path, files: Path) -> None:
    """Write down which directories of `files` an editable install imports from.

    The files are gone afterwards; each run has them elsewhere and is told these directories.
    """
    links = set()
    site = "lib/python*/site-packages"
    finders = environment.glob(f"{site}/__editable__*.py")
    for path in (*environment.glob(f"{site}/*.pth"), *finders):
        text = path.read_text(errors="replace")
        for match in re.finditer(rf"{re.escape(str(files))}(/[^'\"\n]*)?", text):
            inner = (match[1] or "").strip("/")
            links.add(inner if path.suffix == ".pth" else posixpath.dirname(inner))
    (environment / LINKED).write_text("".join(f"{link}\n" for link in sorted(links)))


def linked(environment: Path, files: Path) -> list[str]:
    """Return where below `files` it imports from, unless that hides a standard module."""
    noted = environment / LINKED
    places = [files / line for line in noted.read_text().splitlines()] if noted.exists() else []
    return [str(place) for place in places if place.is_dir() and not _hides_standard_modules(place)]


def _hides_standard_modules(directory: Path) -> bool:
    return any(
        entry.name.removesuffix(".py") in sys.stdlib_module_names for entry in directory.iterdir()
    )
