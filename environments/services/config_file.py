"""Railway's configuration as code: what `railway.json` or `railway.toml` of a commit says about a
service.

Read from git at the commit, for it overrides what is set on Railway for deployments of that commit,
and only for these.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from environments.git.repository import Mirror
from portal.outbound.parsing import JsonObject, get_path

DEFAULT = (
    "railway.toml",
    "railway.json",
)  # from the repository's root, also where a root directory is set
MOST = 256 * 1024


@dataclass(frozen=True)
class Config:
    """What one file says of one environment. None: nothing, so what is set on Railway counts.

    `problem`: the file cannot be read, so that nothing of it is known.
    """

    path: str
    watch_patterns: tuple[str, ...] | None = None
    healthcheck_path: str | None = None
    pre_deploy_command: str | None = None
    start_command: str | None = None
    dockerfile: str | None = None
    problem: str = ""


def read_config(mirror: Mirror, commit: str, named: str, environment: str) -> Config | None:
    """Return what the file of `commit` says, the one that is `named` on Railway or the usual one;
    None: there is none.

    Raise `GitError`.
    """
    for path in (named.lstrip("/"),) if named else DEFAULT:
        if (body := mirror.read_file(commit, path)) is not None:
            return parse(path, body, environment)
    return None


def parse(path: str, body: bytes, environment: str) -> Config:
    """Return what the file's text says about the environment of that name on Railway."""
    try:
        if len(body) > MOST:
            raise ValueError("it is too large")
        message = tomllib.loads(body.decode()) if path.endswith(".toml") else json.loads(body)
        if not isinstance(message, dict):
            raise ValueError("it is no object")
        build, deploy = (
            {**_part(message, name), **_part(_own(message, environment), name)}
            for name in ("build", "deploy")
        )
        return Config(
            path,
            _patterns(build.get("watchPatterns")),
            _text(deploy.get("healthcheckPath")),
            _command(deploy.get("preDeployCommand")),
            _text(deploy.get("startCommand")),
            _text(build.get("dockerfilePath")),
        )
    except (ValueError, RecursionError) as error:
        return Config(path, problem=f"{path} cannot be read: {str(error)[:200]}.")


def _own(message: Mapping[str, object], environment: str) -> dict[str, object]:
    """Return what the file sets apart for one environment."""
    own = get_path(message, "environments", environment)
    return own if isinstance(own, dict) else {}


def _part(message: Mapping[str, object], name: str) -> JsonObject:
    part = message.get(name)
    if part is not None and not isinstance(part, dict):
        raise ValueError(f"{name} is no object")
    return part or {}


def _patterns(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(pattern, str) and pattern.strip() for pattern in value
    ):
        raise ValueError("watchPatterns is no list of patterns")
    return tuple(value)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("a text was expected")
    return value or None


def _command(value: object) -> str | None:
    """Return a command, or several in a list."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return " && ".join(value) or None
    return _text(value)
