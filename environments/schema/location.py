"""Where a repository keeps its revisions, read literally from its Alembic configuration at one commit.

Follows Alembic's own rules (config.py, script/base.py) for `script_location`, `version_locations`,
`path_separator`, `recursive_version_locations` and `%(here)s`, in an ini file or under `[tool.alembic]` in a
pyproject.toml.
"""

import posixpath
import re
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass
from typing import Any

from environments.git import Mirror, Objects

_HERE = "/<here>"  # stands for the repository's root while paths are joined
_SEPARATORS = {"space": " ", "newline": "\n", "os": ":", ":": ":", ";": ";"}
_MAX_CONFIG_BYTES = 1_000_000


@dataclass(frozen=True)
class Location:
    """`script`: the script directory; `directories`: where the revisions lie, in Alembic's order.

    `problem` is one sentence when that cannot be read, else "". Without Alembic ("") everything is empty.
    """

    alembic: str
    script: str = ""
    directories: tuple[str, ...] = ()
    recursive: bool = False
    problem: str = ""


class _ProblemError(Exception):
    pass


def locate(mirror: Mirror, commit: str, alembic: str) -> Location:
    """What `alembic` (an ini file, a pyproject.toml, a script directory, or "") means at `commit`."""
    with mirror.objects() as objects:
        return locate_in(objects, mirror.commit(commit), alembic)


def locate_in(objects: Objects, commit: str, alembic: str) -> Location:
    """As `locate`, over a running reader; `commit` is a full hash."""
    if not alembic.strip():
        return Location(alembic)
    try:
        return _locate(objects, commit, alembic, _inside(alembic.strip(), alembic))
    except _ProblemError as problem:
        return Location(alembic, problem=str(problem))


def _locate(objects: Objects, commit: str, alembic: str, path: str) -> Location:
    found = objects.get(f"{commit}:{path}")
    if found is None:
        raise _ProblemError(f"There is no “{path or '.'}” in the repository at {commit[:10]}; correct Alembic's path.")
    if found.kind == "tree":
        names = {entry.name for entry in objects.entries(found.sha)}
        if "alembic.ini" in names:
            return _locate(objects, commit, alembic, posixpath.join(path, "alembic.ini"))
        if names & {"env.py", "versions"}:
            return Location(alembic, path, (posixpath.join(path, "versions"),))
        if "pyproject.toml" in names:
            return _locate(objects, commit, alembic, posixpath.join(path, "pyproject.toml"))
        raise _ProblemError(f"“{path or '.'}” holds neither an alembic.ini nor a script directory's env.py.")
    here = posixpath.dirname(path)
    toml = path if path.endswith(".toml") else posixpath.join(here, "pyproject.toml")
    options = {} if path == toml else _ini(_text(objects, commit, path), path, here)
    if "script_location" not in options:
        options = _toml(_text(objects, commit, toml), toml, here) | options
    return _from_options(objects, commit, alembic, path, options)


def _from_options(objects: Objects, commit: str, alembic: str, config: str, options: Mapping[str, Any]) -> Location:
    script_location = options.get("script_location")
    if not isinstance(script_location, str) or not script_location.strip():
        raise _ProblemError(f"“{config}” has no `script_location`; add it, or name the script directory itself.")
    script = _resolve(objects, commit, config, script_location.strip())
    if script is None:
        raise _ProblemError(
            f"“{config}” names the script directory “{script_location}”, which is not in the repository."
        )
    directories = []
    for one in options.get("version_locations") or []:
        if not isinstance(one, str):
            raise _ProblemError(f"“{config}” lists something in `version_locations` that is not a path.")
        directories.append(_resolve(objects, commit, config, one) or _beside(config, one))
    unique = tuple(dict.fromkeys(directories)) or (posixpath.join(script, "versions"),)
    return Location(alembic, script, unique, options.get("recursive_version_locations") is True)


def _text(objects: Objects, commit: str, path: str) -> str:
    found = objects.get(f"{commit}:{path}", limit=_MAX_CONFIG_BYTES)
    if found is None or found.kind != "blob" or found.content is None:
        return ""
    return found.content.decode("utf-8-sig", "replace")


def _ini(text: str, path: str, here: str) -> dict[str, Any]:
    parser = ConfigParser({"here": posixpath.join(_HERE, here).rstrip("/")})
    try:
        parser.read_string(text)
        names = ("script_location", "version_locations", "path_separator", "version_path_separator")
        options: dict[str, Any] = {
            name: parser.get("alembic", name) for name in names if parser.has_option("alembic", name)
        }
        recursive = parser.get("alembic", "recursive_version_locations", fallback=None)
    except IniError as error:
        reason = re.sub(r"\s+", " ", error.message).replace("<string>", path)
        raise _ProblemError(f"“{path}” cannot be read as an ini file: {reason[:200].rstrip('.')}.") from None
    if recursive is not None:
        options["recursive_version_locations"] = recursive == "true"
    if not options.get("version_locations"):
        options.pop("version_locations", None)
    else:
        options["version_locations"] = _split(options, path)
    return options


def _split(options: Mapping[str, str], path: str) -> list[str]:
    value = options["version_locations"]
    separator = options.get("path_separator", options.get("version_path_separator"))
    if separator is None:
        return [part for part in re.split(r", *|(?: +)", value) if part]
    if separator not in _SEPARATORS:
        raise _ProblemError(f"“{path}” has an unknown `path_separator`; use os, space, newline, : or ;.")
    return [part.strip() for part in value.split(_SEPARATORS[separator]) if part.strip()]


def _toml(text: str, path: str, here: str) -> dict[str, Any]:
    try:
        section = tomllib.loads(text).get("tool", {}).get("alembic", {})
    except (tomllib.TOMLDecodeError, AttributeError):
        raise _ProblemError(f"“{path}” is not valid TOML.") from None
    arguments = {"here": posixpath.join(_HERE, here).rstrip("/")}
    try:
        return {
            name: [one % arguments for one in value]
            if isinstance(value, list) and name == "version_locations"
            else value % arguments
            if isinstance(value, str)
            else value
            for name, value in dict(section).items()
            if name in ("script_location", "version_locations", "recursive_version_locations")
        }
    except (KeyError, ValueError, TypeError):
        raise _ProblemError(f"“{path}” has a setting under [tool.alembic] that only Alembic could fill in.") from None


def _resolve(objects: Objects, commit: str, config: str, value: str) -> str | None:
    """The directory that a configured path means, beside its file or from the root; None for neither."""
    if value.startswith("/"):
        candidates = [_inside(value, value)]
    elif ":" in value:
        package, *rest = value.split(":")  # a package resource, as in `myapp:migrations`
        inner = posixpath.join(package.replace(".", "/"), *rest)
        candidates = [_beside(config, inner), inner, _beside(config, f"src/{inner}"), f"src/{inner}"]
    else:
        candidates = [_beside(config, value), posixpath.normpath(value)]
    for candidate in candidates:
        if candidate.startswith(".."):
            continue
        name = "" if candidate == "." else candidate
        found = objects.get(f"{commit}:{name}")
        if found is not None and found.kind == "tree":
            return name
    return None


def _beside(config: str, value: str) -> str:
    return _inside(posixpath.join(_HERE, posixpath.dirname(config), value), value)


def _inside(path: str, shown: str) -> str:
    """`path` relative to the repository's root, "" for the root; refuses what lies outside."""
    if not path.startswith("/"):
        path = posixpath.join(_HERE, path)
    path = posixpath.normpath(path)
    if (path != _HERE and not path.startswith(_HERE + "/")) or "\n" in path:
        raise _ProblemError(f"“{shown}” lies outside the repository; use a path inside it.")
    return path[len(_HERE) + 1 :]
