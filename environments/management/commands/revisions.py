"""`manage.py revisions`: what Alembic revisions a commit holds, from git alone."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.schema.history.changes import Change
from environments.schema.history.reader import (
    History,
    HistoryError,
    Revision,
    compare,
    read,
    why_empty,
)
from environments.schema.history.revision import Problem
from portal.outbound.parsing import JsonObject


def add_place(parser: ArgumentParser, *, since: str) -> None:
    """Add the options that name revisions in a repository."""
    parser.add_argument("ref", help="branch, tag or commit")
    parser.add_argument("--repository", required=True, type=Path, help="a local git repository")
    parser.add_argument(
        "--alembic", required=True, help="ini file, pyproject.toml or script directory in it"
    )
    parser.add_argument("--since", default="", help=since)
    parser.add_argument("--json", action="store_true", help="one JSON object")


class Command(BaseCommand):
    help = (
        "Shows heads, bases and revisions at a commit, and what is new since another; executes"
        " nothing."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_place(parser, since="also: what is new, changed and deleted since this ref")

    def handle(self, *args: object, **options: Any) -> None:
        mirror, alembic, since = Mirror(options["repository"]), options["alembic"], options["since"]
        try:
            until = mirror.commit(options["ref"])
            history = read(mirror, until, alembic)
            change = compare(mirror, mirror.commit(since), until, alembic) if since else None
            empty = not (history.revisions or history.problems)
            nothing = why_empty(mirror, until, history) if empty else ""
        except GitError as error:
            raise CommandError(str(error)) from None
        problems = change.problems if change else history.problems
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(until, history, change, problems)))
        else:
            self.stdout.write("\n".join(_as_text(history, change, problems)))
        if nothing:
            raise CommandError(nothing, returncode=2)
        if problems:
            message = f"{len(problems)} to fix before these revisions can run."
            raise CommandError(message, returncode=2)


def _as_json(
    commit: str, history: History, change: Change | None, problems: Sequence[Problem]
) -> JsonObject:
    document = {
        "commit": commit,
        "directories": list(history.directories),
        "heads": list(history.heads),
        "bases": list(history.bases),
        "revisions": [_revision(revision) for revision in _ordered(history)],
        "problems": [
            {"kind": problem.kind, "sentence": problem.sentence, "paths": list(problem.paths)}
            for problem in problems
        ],
    }
    if change is not None:
        document |= {
            "new": [revision.id for revision in change.new],
            "changed": [revision.id for revision in change.changed],
            "deleted": [revision.id for revision in change.deleted],
            "heads_before": list(change.heads_before or ()),
        }
    return document


def _revision(revision: Revision) -> JsonObject:
    return {
        "id": revision.id,
        "parents": list(revision.down),
        "depends_on": list(revision.depends_on),
        "labels": list(revision.labels),
        "path": revision.path,
        "sha256": revision.sha256,
        "message": revision.message,
        "has_downgrade": revision.has_downgrade,
    }


def _ordered(history: History) -> tuple[Revision, ...]:
    """In upgrade order where there is one, else as the files lie."""
    try:
        return history.linear
    except HistoryError:
        return tuple(history.revisions.values())


def _as_text(history: History, change: Change | None, problems: Sequence[Problem]) -> list[str]:
    lines = [
        f"{len(history.revisions)} revisions in {', '.join(history.directories) or 'no directory'}",
        f"heads  {', '.join(history.heads) or 'none'}",
        f"bases  {', '.join(history.bases) or 'none'}",
    ]
    if change is not None:
        kinds = {"new": change.new, "changed": change.changed, "deleted": change.deleted}
        for name, revisions in kinds.items():
            lines += [
                f"{name:8}{revision.id}  {revision.path}  {revision.message}".rstrip()
                for revision in revisions
            ]
    return [*lines, *(f"problem  {problem.sentence}" for problem in problems)]
