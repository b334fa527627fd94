"""A small product to try the portal on: a backend with Alembic migrations, a frontend, and work on
the way.

The same history comes out every time, commit for commit, so that tests can name its commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from portal.sandbox.github import GitHubStandIn
from portal.sandbox.github.git import Git
from portal.sandbox.github.git_objects import Person

from .sample_files import ALEMBIC_INI, APP_PY, CI_YML, ENV_PY, SCRIPT_MAKO, SIGNALS_PY

CI = "python-ci"
VERDICT = "release-portal"
ALEMBIC = "backend/alembic.ini"
# What people look at after a promotion: name, path on the frontend.
KEY_PAGES = (
    ("Signals list", "/signals"),
    ("Signal detail", "/signals/1"),
    ("Settings", "/settings"),
)
Files = dict[str, str]


@dataclass(frozen=True)
class Merged:
    """A pull request that was merged into staging by a commit of the sample."""

    number: int
    head: str
    title: str
    author: str
    commit: str


@dataclass(frozen=True)
class Sample:
    """The repository at `path`, its `branches` (name: commit) and the pull requests in its
    history.
    """

    path: Path
    branches: dict[str, str]
    merged: tuple[Merged, ...]
    open: tuple[tuple[int, str, str, str], ...]


def migration(
    revision: str,
    down: str | None,
    title: str,
    upgrade: str,
    downgrade: str,
    directory: str = "backend/alembic",
) -> Files:
    """Return one revision file, which imports nothing of the product."""
    text = f'''"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {f'"{down}"' if down else None}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
    slug = "".join(c if c.isalnum() else "_" for c in title.lower())
    return {f"{directory}/versions/{revision}_{slug}.py": text}


def page(body: str) -> str:
    return f"""<!doctype html>
<meta charset="utf-8">
<title>Signals</title>
<nav><a href="/signals">Signals</a> <a href="/signals/1">Signal</a>
<a href="/settings">Settings</a></nav>
<main>{body}</main>
"""


BASE: Files = {
    "README.md": (
        "# Signals\n\n`backend/` is the API, `frontend/` the pages. Both run on Railway.\n"
    ),
    ".github/workflows/ci.yml": CI_YML,
    "backend/requirements.txt": "alembic\nfastapi\npsycopg[binary]\nsqlalchemy\nuvicorn\n",
    "backend/app.py": APP_PY,
    "frontend/index.html": page("<h1>Signals</h1>"),
}
MAIN: tuple[tuple[str, Files], ...] = (
    ("Start the product", BASE),
    (
        "Keep workspaces in a database",
        {ALEMBIC: ALEMBIC_INI, "backend/alembic/env.py": ENV_PY}
        | {"backend/alembic/script.py.mako": SCRIPT_MAKO}
        | migration(
            "1f3a5c7e9b01",
            None,
            "create workspaces",
            'op.create_table("workspaces", sa.Column("id", sa.Integer, primary_key=True), '
            'sa.Column("name", sa.Text, nullable=False))',
            'op.drop_table("workspaces")',
        ),
    ),
    (
        "Record events",
        migration(
            "2b4d6f8a0c12",
            "1f3a5c7e9b01",
            "create events",
            'op.create_table("events", sa.Column("id", sa.BigInteger, primary_key=True),'
            ' sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"),'
            ' nullable=False), sa.Column("happened_at", sa.DateTime(timezone=True),'
            " nullable=False))",
            'op.drop_table("events")',
        ),
    ),
    (
        "Let people sign in",
        migration(
            "3c5e7a9b1d23",
            "2b4d6f8a0c12",
            "create users",
            'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), '
            'sa.Column("email", sa.Text, nullable=False, unique=True))',
            'op.drop_table("users")',
        ),
    ),
    (
        "Grade events by severity",
        {"backend/signals.py": SIGNALS_PY}
        | migration(
            "4d6f8b0c2e34",
            "3c5e7a9b1d23",
            "add event severity",
            'op.add_column("events", sa.Column("severity", sa.Text, nullable=False,'
            ' server_default="info"))',
            'op.drop_column("events", "severity")',
        ),
    ),
)
INTEGRATIONS = migration(
    "5e7a9c1d3f45",
    "4d6f8b0c2e34",
    "add integration settings",
    'op.create_table("integration_settings", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"), nullable=False), '
    'sa.Column("kind", sa.Text, nullable=False), sa.Column("settings", sa.JSON, nullable=False))',
    'op.drop_table("integration_settings")',
)
INDEX = migration(
    "6f8b0d2e4a56",
    "5e7a9c1d3f45",
    "index events.workspace_id",
    "with op.get_context().autocommit_block():\n"
    '        op.create_index("events_workspace_id", "events", ["workspace_id"], '
    "postgresql_concurrently=True)",
    "with op.get_context().autocommit_block():\n"
    '        op.drop_index("events_workspace_id", "events", postgresql_concurrently=True)',
)
MERGED: tuple[tuple[int, str, str, str, Files], ...] = (
    (
        124,
        "feature/integration-settings",
        "Settings of integrations are kept",
        "maria",
        INTEGRATIONS,
    ),
    (
        125,
        "feature/severity-filter",
        "Signals list: filter by severity",
        "jonas",
        {"frontend/signals.html": page('<h1>Signals</h1><select name="severity"></select>')},
    ),
    (126, "feature/event-index", "Find a workspace's events by an index", "maria", INDEX),
    (
        127,
        "feature/signal-timeline",
        "Signal detail: show the timeline",
        "aylin",
        {"frontend/signal.html": page("<h1>Signal</h1><ol class=timeline></ol>")},
    ),
    (
        128,
        "feature/dark-theme",
        "A dark theme",
        "jonas",
        {
            "frontend/theme.css": (
                "@media (prefers-color-scheme: dark) { body { background: #111; } }\n"
            )
        },
    ),
)
OPEN: tuple[tuple[int, str, str, str, Files], ...] = (
    (
        129,
        "feature/test-connection",
        "Settings: try a connection before saving it",
        "aylin",
        {"frontend/settings.html": page("<h1>Settings</h1><button>Try the connection</button>")},
    ),
    (
        130,
        "feature/csv-export",
        "Signals list: export as CSV",
        "jonas",
        {"backend/export.py": '"""Signals as CSV."""\n\nimport csv\n\n__all__ = ["csv"]\n'},
    ),
)


def build(
    directory: Path,
    *,
    start: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC),
    main: Sequence[tuple[str, Files]] = MAIN,
    merged_pulls: Sequence[tuple[int, str, str, str, Files]] = MERGED,
) -> Sample:
    """Make the sample as a bare repository in `directory`; its first commit is dated `start`.

    `main` and `merged_pulls` are its history instead of the sample's own.
    """
    git = Git(directory)
    at = start
    heads: dict[str, str] = {}

    def write(branch: str, parents: list[str], files: Files, message: str, author: str) -> str:
        nonlocal at
        at += timedelta(hours=3)
        person = Person(author, f"{author}@users.noreply.github.com", at)
        tree = git.with_files(parents[0] if parents else None, dict(files))
        heads[branch] = git.commit_tree(tree, parents, f"{message}\n", person, person)
        return heads[branch]

    tip: list[str] = []
    for message, files in main:
        tip = [write("main", tip, files, message, "maria")]
    heads["staging"] = heads["main"]
    merged = []
    for number, head, title, author, files in merged_pulls:
        work = write(head, [heads["staging"]], files, title, author)
        message = f"Merge pull request #{number} from acme/{head}\n\n{title}"
        commit = write("staging", [heads["staging"], work], files, message, author)
        merged.append(Merged(number, head, title, author, commit))
        del heads[head]  # as after the button "Delete branch"
    for _, head, title, author, files in OPEN:
        write(head, [heads["staging"]], files, title, author)
    for branch, sha in heads.items():
        git.text("update-ref", f"refs/heads/{branch}", sha)
    listed = tuple((number, head, title, author) for number, head, title, author, _ in OPEN)
    return Sample(directory, heads, tuple(merged), listed)


def populate(standin: GitHubStandIn, sample: Sample, named: dict[str, str] | None = None) -> None:
    """Serve the sample: its pull requests, green checks on every head, and production's branch
    protected.

    `named`: branch of the sample → what it is called instead.
    """
    called = {branch: (named or {}).get(branch, branch) for branch in sample.branches}
    standin.import_repository(
        sample.path, {called[name]: sha for name, sha in sample.branches.items()}
    )
    for pull in sample.merged:
        standin.record_merged(
            pull.number,
            head=pull.head,
            base=called["staging"],
            title=pull.title,
            author=pull.author,
            merge_commit=pull.commit,
        )
    for number, head, title, author in sample.open:
        standin.open_pull(head, called["staging"], title, author=author, number=number)
    for sha in dict.fromkeys(sample.branches.values()):
        standin.set_check(sha, CI)
    standin.protect(called["main"], checks=(CI, VERDICT), pull_request=True, enforce_admins=False)


def demo_state(standin: GitHubStandIn, staging: str = "staging") -> None:
    """Furnish what any other imported repository is given: a green check on staging, no pull
    requests, no rules.
    """
    if sha := standin.heads().get(staging):
        standin.set_check(sha, CI)
