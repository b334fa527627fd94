"""Kinds of leftovers: scripts, workflows and commands that the portal replaces."""

import re
from dataclasses import dataclass

PREVIEWS, SYNC, TASK_LOG = "previews", "sync", "task_log"
MIGRATE, DEPLOY, TOKEN = "migrate", "deploy", "token"
KINDS = (PREVIEWS, SYNC, TASK_LOG, MIGRATE, DEPLOY, TOKEN)

# A file's name says what it is for, whatever stands in it.
NAMES = {
    PREVIEWS: re.compile(r"(preview|pr|review)[-_]?(env|app|environment)", re.I),
    SYNC: re.compile(r"(sync|reset|update)[-_]?staging|staging[-_]?(sync|to[-_]?main)", re.I),
    TASK_LOG: re.compile(r"task[-_]?log", re.I),
}
MERGE = "git merge into staging"
# Quotes, commas and blanks: how a shell and Docker's exec form separate words.
_GAP = r"""["',[:blank:]]+"""


@dataclass(frozen=True)
class Command:
    """A command that gives a kind away: `pattern` is a POSIX extended expression for git grep."""

    kind: str
    name: str
    pattern: str


def commands(staging: str, main: str) -> tuple[Command, ...]:
    """Return what to look for in a project whose branches are called so."""
    to, ours = (re.sub(r"([][\\.^$*+?(){}|])", r"\\\1", name) for name in (staging, main))
    word = r"([^A-Za-z0-9_./-]|$)"
    return (
        Command(MIGRATE, "alembic upgrade", rf"alembic({_GAP}[^;&|]+)?{_GAP}upgrade"),
        Command(MIGRATE, "flask db upgrade", rf"flask{_GAP}db{_GAP}upgrade"),
        Command(MIGRATE, "alembic.command.upgrade()", r"command\.upgrade\("),
        Command(PREVIEWS, "railway environment", rf"railway{_GAP}env[a-z]*{_GAP}(new|delete)"),
        Command(PREVIEWS, "environmentCreate", "environment(Create|Delete)"),
        Command(SYNC, "git push to staging", rf"git push.*[:[:blank:]/]{to}{word}"),
        Command(SYNC, MERGE, rf"(merge|rebase|reset)[^;&|]*origin/{ours}{word}"),
        Command(TASK_LOG, ".task_logs", r"\.task_logs"),
        Command(DEPLOY, "railway up", rf"railway{_GAP}(up|redeploy){word}"),
        Command(TOKEN, "railway whoami", rf"railway{_GAP}whoami"),
    )
