"""Where a repository keeps its revisions, read literally from its Alembic configuration.

Follows Alembic's own rules (config.py, script/base.py) in any section of an ini file
(`alembic.ini:reports` is what `alembic -n reports` reads) or under `[tool.alembic]` in a
pyproject.toml.
"""

import posixpath
import re
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass
from pathlib import PurePosixPath

from environments.git.repository import Mirror
from environments.schema.history.candidates import (
    Candidates,
    Snapshot,
    candidates,
    code_that_sets_location,
)
from portal.outbound.parsing import JsonObject

_HERE = "/<here>"  # stands for the repository's root while paths are joined
_SEPARATORS = {"space": " ", "newline": "\n", "os": ":", ":": ":", ";": ";"}
_MAX_CONFIG_BYTES = 1_000_000
_SECTION = re.compile(r"(.+\.(?:ini|cfg|conf)):([^/]+)\Z")
MAIN_SECTION = "alembic"


@dataclass(frozen=True)
class Location:
    """Where the scripts and the revisions (in Alembic's order) lie; all empty without Alembic ("").

    `problem` is one sentence when that cannot be read, else "".
    """

    alembic: str
    script: str = ""
    directories: tuple[str, ...] = ()
    recursive: bool = False
    problem: str = ""


class _ProblemError(Exception):
    pass


def locate(mirror: Mirror, commit: str, alembic: str) -> Location:
    """Return what `alembic` (an ini file, a pyproject.toml, a script directory, or "") means."""
    with mirror.objects() as objects:
        return locate_in(Snapshot(objects, mirror.commit(commit)), alembic)


def locate_in(at: Snapshot, alembic: str) -> Location:
    """Do what `locate` does, over a running reader."""
    if not alembic.strip():
        return Location(alembic)
    try:
        return _locate(at, alembic, _inside(alembic.strip(), alembic))
    except _ProblemError as problem:
        return Location(alembic, problem=str(problem))


def _locate(at: Snapshot, alembic: str, path: str) -> Location:
    named = _SECTION.match(path)
    path, section = (named[1], named[2]) if named else (path, MAIN_SECTION)
    blob = at.get(path, limit=0)
    if blob is None:
        looked = f"There is no “{path or '.'}” in the repository at {at.commit[:10]}"
        raise _ProblemError(f"{looked}; correct Alembic's path.{_offer(candidates(at))}")
    if blob.kind == "tree":
        names = {entry.name for entry in at.objects.entries(blob.sha)}
        if "alembic.ini" in names:
            return _locate(at, alembic, posixpath.join(path, "alembic.ini"))
        if names & {"env.py", "versions"}:
            return Location(alembic, path, (posixpath.join(path, "versions"),))
        if "pyproject.toml" in names:
            return _locate(at, alembic, posixpath.join(path, "pyproject.toml"))
        held = f"“{path or '.'}” holds neither an alembic.ini nor a script directory's env.py."
        raise _ProblemError(held + _offer(candidates(at)))
    here = posixpath.dirname(path)
    toml = path if path.endswith(".toml") else posixpath.join(here, "pyproject.toml")
    options = {} if path == toml else _ini(_text(at, path), path, section)
    if "script_location" not in options:
        options = _toml(_text(at, toml), toml, here) | options
    if "script_location" not in options and section == MAIN_SECTION and _is_script(at, here):
        options["script_location"] = "%"  # Flask-Migrate keeps alembic.ini in the script directory
    return _from_options(at, alembic, path, options, section)


def _from_options(
    at: Snapshot, alembic: str, config: str, options: JsonObject, section: str
) -> Location:
    named = options.get("script_location")
    if not isinstance(named, str) or not named.strip() or "{" in named:
        raise _ProblemError(_set_elsewhere(at, config, named, options, section))
    beside = posixpath.dirname(config)
    script = beside if named == "%" else _resolve(at, config, named.strip())
    if script is None:
        missing = f"“{config}” names the script directory “{named}”, which is not in the repository"
        raise _ProblemError(f"{missing}.{_offer(candidates(at), scripts_only=True)}")
    directories = []
    for directory in options.get("version_locations") or []:
        if not isinstance(directory, str):
            message = f"“{config}” lists something in `version_locations` that is not a path."
            raise _ProblemError(message)
        directories.append(_resolve(at, config, directory) or _beside(config, directory))
    unique = tuple(dict.fromkeys(directories)) or (posixpath.join(script, "versions"),)
    return Location(alembic, script, unique, options.get("recursive_version_locations") is True)


def _set_elsewhere(
    at: Snapshot, config: str, value: object, options: JsonObject, section: str
) -> str:
    """Say why `config` names no script directory: another section or code does, or nobody."""
    everything = candidates(at)
    offer = _offer(everything, scripts_only=True) or " Add it, or name the script directory itself."
    if value:
        return (
            f"“{config}” has a placeholder in `script_location` (“{value}”), which only code can"
            f" fill in.{offer}"
        )
    sections = [name for name in options.get("sections", ()) if name != section]
    if sections:
        named = " or ".join(f"“{config}:{section}”" for section in sections)
        where = f"in its section [{section}], but in others"
        return f"“{config}” has no `script_location` {where}; use {named}."
    if place := code_that_sets_location(at):
        return f"“{config}” has no `script_location`, since code sets it ({place}).{offer}"
    return f"“{config}” has no `script_location`.{offer}"


def _offer(candidates: Candidates, *, scripts_only: bool = False) -> str:
    """Return what the repository holds instead, as a sentence."""
    paths = [*([] if scripts_only else candidates.configurations), *candidates.scripts]
    if not paths:
        return "" if scripts_only else " Nothing in the repository looks like Alembic's."
    return f" In the repository: {', '.join(f'“{path}”' for path in paths[:4])}."


def _is_script(at: Snapshot, directory: str) -> bool:
    return at.get(posixpath.join(directory, "env.py"), limit=0) is not None


def _text(at: Snapshot, path: str) -> str:
    blob = at.get(path, limit=_MAX_CONFIG_BYTES)
    if blob is None or blob.kind != "blob" or blob.content is None:
        return ""
    return blob.content.decode("utf-8-sig", "replace")


def _ini(text: str, path: str, section: str) -> JsonObject:
    parser = ConfigParser({"here": posixpath.join(_HERE, posixpath.dirname(path)).rstrip("/")})
    try:
        parser.read_string(text)
        names = ("script_location", "version_locations", "path_separator", "version_path_separator")
        given = [name for name in names if parser.has_option(section, name)]
        options: JsonObject = {name: parser.get(section, name) for name in given}
        recursive = parser.get(section, "recursive_version_locations", fallback=None)
        sections = parser.sections()
        options["sections"] = [
            section for section in sections if "script_location" in parser[section]
        ]
    except IniError as error:
        reason = re.sub(r"\s+", " ", error.message).replace("<string>", path)
        message = f"“{path}” cannot be read as an ini file: {reason[:200].rstrip('.')}."
        raise _ProblemError(message) from None
    if recursive is not None:
        options["recursive_version_locations"] = recursive == "true"
    if options.get("version_locations"):
        options["version_locations"] = _split(options, path)
    else:
        options.pop("version_locations", None)
    return options


def _split(options: Mapping[str, str], path: str) -> list[str]:
    value = options["version_locations"]
    separator = options.get("path_separator", options.get("version_path_separator"))
    if separator is None:
        return [part for part in re.split(r", *|(?: +)", value) if part]
    if separator not in _SEPARATORS:
        message = f"“{path}” has an unknown `path_separator`; use os, space, newline, : or ;."
        raise _ProblemError(message)
    return [part.strip() for part in value.split(_SEPARATORS[separator]) if part.strip()]


def _toml(text: str, path: str, here: str) -> dict[str, object]:
    try:
        section = tomllib.loads(text).get("tool", {}).get("alembic", {})
    except (tomllib.TOMLDecodeError, AttributeError):
        raise _ProblemError(f"“{path}” is not valid TOML.") from None
    arguments = {"here": posixpath.join(_HERE, here).rstrip("/")}
    values: dict[str, object] = {}
    try:
        given = dict(section)
        for name in ("script_location", "version_locations", "recursive_version_locations"):
            value = given.get(name)
            if isinstance(value, list) and name == "version_locations":
                values[name] = [line % arguments for line in value]
            elif value is not None:
                values[name] = value % arguments if isinstance(value, str) else value
    except (KeyError, ValueError, TypeError):
        message = f"“{path}” has a setting under [tool.alembic] that only Alembic could fill in."
        raise _ProblemError(message) from None
    return values


def _resolve(at: Snapshot, config: str, value: str) -> str | None:
    """Return the directory that a configured path means; None where there is none.

    Alembic looks from where its command is run, which a repository does not say: beside the file or
    above it, preferably where there is an `env.py`.
    """
    if value.startswith("/"):
        wanted = [_inside(value, value)]
    elif ":" in value:
        package, *rest = value.split(":")  # a package resource, as in `myapp:migrations`
        inner = posixpath.join(package.replace(".", "/"), *rest)
        wanted = [*_from_above(config, inner), *_from_above(config, f"src/{inner}")]
    else:
        _beside(config, value)  # refuses what lies outside
        wanted = _from_above(config, value)
    places = [name for name in wanted if at.tree(name)]
    return next((place for place in places if _is_script(at, place)), next(iter(places), None))


def _from_above(config: str, value: str) -> list[str]:
    """Return `value` seen from the directory of `config` and each above it, nearest first."""
    seen = (posixpath.normpath(here / value) for here in PurePosixPath(config).parents)
    return ["" if path == "." else path for path in seen if not path.startswith("..")]


def _beside(config: str, value: str) -> str:
    return _inside(posixpath.join(_HERE, posixpath.dirname(config), value), value)


def _inside(path: str, shown: str) -> str:
    """Return `path` relative to the repository's root, "" for it; refuse what lies outside."""
    path = posixpath.normpath(path if path.startswith("/") else posixpath.join(_HERE, path))
    if (path != _HERE and not path.startswith(_HERE + "/")) or "\n" in path:
        raise _ProblemError(f"“{shown}” lies outside the repository; use a path inside it.")
    return path[len(_HERE) + 1 :]
