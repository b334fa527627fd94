"""What authors run before they push, as the repository's own files name it."""

import json
import posixpath
import re
from collections.abc import Callable, Iterable

SCRIPTS = ("lint", "typecheck", "build", "test")
TARGETS = ("check", "lint", "test")
MOST_LEVELS = 2
Read = Callable[[str], bytes | None]


def before_pushing(paths: Iterable[str], read: Read) -> list[str]:
    """Return shell commands for the repository's root, found in `package.json`, `Makefile` and
    pre-commit's configuration; `read` gives a file's content.
    """
    near = [path for path in paths if path.count("/") < MOST_LEVELS]
    commands: list[str] = []
    for path in sorted(near):
        directory, name = posixpath.split(path)
        if name == "package.json":
            commands += [
                _within(directory, script) for script in _scripts(near, directory, read(path))
            ]
        elif name == "Makefile":
            commands += [_within(directory, f"make {target}") for target in _targets(read(path))]
        elif path == ".pre-commit-config.yaml":
            commands.append("pre-commit run --all-files")
    return commands


def _within(directory: str, command: str) -> str:
    return f"cd {directory} && {command}" if directory else command


def _scripts(paths: list[str], directory: str, content: bytes | None) -> list[str]:
    try:
        scripts = json.loads(content or b"{}").get("scripts", {})
    except (ValueError, AttributeError):
        return []
    locks = {"pnpm-lock.yaml": "pnpm run", "yarn.lock": "yarn"}
    runner = next(
        (run for lock, run in locks.items() if posixpath.join(directory, lock) in paths), "npm run"
    )
    return [f"{runner} {name}" for name in SCRIPTS if name in scripts]


def _targets(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "replace")
    there = set(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", text, re.MULTILINE))
    return [name for name in TARGETS if name in there]
