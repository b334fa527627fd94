"""Whether what the repository starts runs Alembic: its Dockerfile or Procfile, and the shell
scripts that these name. Read from git at a commit; nothing of it is executed.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping

from environments.git.repository import Mirror

MOST_FILES, MOST_BYTES = 6, 64 * 1024
_MIGRATES = re.compile(r"\balembic\b[^\n;&|]*\bupgrade\b|\bdb[\s\"',]+upgrade\b", re.I)
_WORDS = re.compile(r"[\w./@+-]+")
_SCRIPT = re.compile(r"\.(ba)?sh$|^(?!.*\.\w+$).*/", re.I)  # by its ending, or a path without one
_PROCESS = re.compile(r"^\s*(?:web|release)\s*:(.*)$", re.M)


def migrates(
    mirror: Mirror, commit: str, root: str, command: str = "", dockerfile: str = ""
) -> bool:
    """Return whether `command`, or without one the image at `commit`, upgrades a database.

    `root`: the directory that is built; `dockerfile`: its path, where one is set. At most
    `MOST_FILES` scripts are followed, and none above `MOST_BYTES`. Raise `GitError`.
    """
    root, blobs = root.strip("/"), dict(mirror.tree(commit))
    waiting = [command or _started(mirror, blobs, root, dockerfile)]
    seen: set[str] = set()
    while waiting:
        text = waiting.pop(0)
        if _MIGRATES.search(text):
            return True
        for path in _scripts(text, blobs, root):
            if path not in seen and len(seen) < MOST_FILES:
                seen.add(path)
                waiting.append(_text(mirror, blobs, path))
    return False


def _started(mirror: Mirror, blobs: Mapping[str, str], root: str, dockerfile: str) -> str:
    """Return what the Dockerfile starts, else the Procfile."""
    image = _text(mirror, blobs, dockerfile.strip("/") or posixpath.join(root, "Dockerfile"))
    if not image:
        return "\n".join(_PROCESS.findall(_text(mirror, blobs, posixpath.join(root, "Procfile"))))
    last: dict[str, str] = {}
    for line in image.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction.upper() == "FROM":
            last.clear()  # only the last stage is what runs
        elif instruction.upper() in ("ENTRYPOINT", "CMD"):
            last[instruction.upper()] = rest
    return "\n".join(last.values())


def _scripts(text: str, paths: Iterable[str], root: str) -> list[str]:
    """Return the files of the repository that `text` names as scripts, wherever the image puts
    them: of several with the same name, the one whose folders agree, then the one below `root`.
    """
    scripts = []
    for word in dict.fromkeys(_WORDS.findall(text)):
        name = posixpath.basename(word)
        if not name or not _SCRIPT.search(word):
            continue
        same = [path for path in paths if posixpath.basename(path) == name]
        if same:
            scripts.append(
                max(same, key=lambda path: (_agree(path, word), path.startswith(f"{root}/")))
            )
    return scripts


def _agree(path: str, word: str) -> int:
    """Return how many of their last parts are the same."""
    return len(posixpath.commonprefix([path.split("/")[::-1], word.split("/")[::-1]]))


def _text(mirror: Mirror, blobs: Mapping[str, str], path: str) -> str:
    """Return the lines of a file that are no comment; "": there is none, or it is too large."""
    if (blob := blobs.get(path)) is None:
        return ""
    body = mirror.read([blob], limit=MOST_BYTES).get(blob, b"").decode(errors="replace")
    return "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("#"))
