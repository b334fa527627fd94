"""What the stand-in remembers beside git: one JSON document, written whole and atomically."""

import base64
import json
import os
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

State = dict[str, Any]

LISTS = (
    "pulls",
    "statuses",
    "checks",
    "reviews",
    "comments",
    "labels",
    "rulesets",
    "hooks",
    "deployments",
    "deployment_statuses",
    "releases",
    "threads",
)
SETTINGS = {
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "delete_branch_on_merge": False,
}


def load(path: Path, now: datetime) -> State:
    """Return the state kept at `path`, or a fresh one."""
    fresh: State = {name: [] for name in LISTS} | {
        "created_at": stamp(now),
        "pushed_at": stamp(now),
        "default_branch": "main",
        "heads": {},
        "protections": {},
        "settings": dict(SETTINGS),
        "signed": [],  # commits whose signature is verified, or "all"
        "name": "",  # since it was renamed
        "old_names": [],  # what the repository was called: asked for there, GitHub redirects
        "plan": "team",
        "permissions": {},
        "tokens": {},
        "next_id": 1000,
        "next_number": 1,
    }
    return fresh | (json.loads(path.read_text()) if path.exists() else {})


def save(path: Path, state: State) -> None:
    """Write beside and rename, so that a process killed here leaves the old state or the new
    one.
    """
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(state))
    os.replace(aside, path)


def stamp(at: datetime) -> str:
    """Return GitHub's time: UTC, whole seconds, with a literal Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, number: object) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def login_id(login: str) -> int:
    return zlib.crc32(login.encode()) % 100_000_000


def find(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any] | None:
    """Return the first row with these values."""
    return next((row for row in rows if all(row.get(k) == v for k, v in wanted.items())), None)


@dataclass(frozen=True)
class Viewer:
    """Who asks. `admin`: an administrator, whom a protection without `enforce_admins` does not
    bind.
    """

    login: str
    app_id: int | None = None
    admin: bool = False


@dataclass(frozen=True)
class App:
    id: int
    slug: str
    name: str


PORTAL_APP = App(1001, "release-portal", "Release portal")
ACTIONS_APP = App(15368, "github-actions", "GitHub Actions")
APPS = {app.id: app for app in (PORTAL_APP, ACTIONS_APP)}


class Refused(Exception):
    """An answer that is a refusal: `status`, GitHub's `message` and, for 422, its list of
    `errors`.
    """

    def __init__(
        self, status: int, message: str, errors: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors


def invalid(resource: str, field: str, code: str = "invalid", message: str = "") -> Refused:
    """Return a 422 "Validation Failed" about one field."""
    error = {"resource": resource, "field": field, "code": code}
    if message:
        error = {"resource": resource, "code": "custom", "message": message}
    return Refused(422, "Validation Failed", [error])


def need_row(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """Return `find` that raises 404 when there is none."""
    row = find(rows, **wanted)
    if row is None:
        raise Refused(404, "Not Found")
    return row
