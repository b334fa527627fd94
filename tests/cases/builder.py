"""Writes the small repositories of the cases: a `main` that is in production and a `staging` to
be released.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments.git.repository import Mirror
from tests.environments.schema.history.histories import repository

INI = "[alembic]\nscript_location = db\nprepend_sys_path = .\n"
ENV = """import os

from alembic import context
from sqlalchemy import create_engine, pool

{head}

def run():
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
{before}
        context.configure(connection=connection, target_metadata=None{options})
        with context.begin_transaction():
            context.run_migrations()


run()
"""
TABLE = (
    'op.create_table("{0}", sa.Column("id", sa.Integer, primary_key=True))',
    'op.drop_table("{0}")',
)


def env(*, head: str = "", before: str = "pass", options: str = "") -> str:
    """Return an `env.py` with `head` above, `before` ahead of `configure`, and `options` given
    to it.
    """
    return ENV.format(
        head=head,
        before=textwrap.indent(before, " " * 8),
        options=f", {options}" if options else "",
    )


def revision(id: str, down: Any = None, up: str = "pass", back: str = "pass", **more: Any) -> str:
    """Return a revision file. `more`: head (imports), labels, depends_on."""
    body = [textwrap.indent(textwrap.dedent(text).strip(), "    ") for text in (up, back)]
    return (
        f'"""Change {id}"""\n\nimport sqlalchemy as sa\nfrom alembic import'
        f" op\n{more.get('head', '')}\n\n"
        f"revision = {id!r}\ndown_revision = {down!r}\n"
        f"branch_labels = {more.get('labels')!r}\ndepends_on = {more.get('depends_on')!r}\n\n\n"
        f"def upgrade():\n{body[0]}\n\n\ndef downgrade():\n{body[1]}\n"
    )


def files(*revisions: str, under: str = "db/versions") -> dict[str, str]:
    """Return these revision files by path, named by their ids."""
    return {
        f"{under}/{text.split('revision = ')[1].split()[0][1:-1]}.py": text for text in revisions
    }


def table(id: str, down: Any = None, **more: Any) -> str:
    """Return a revision that makes the table of its own name and drops it."""
    return revision(id, down, TABLE[0].format(id), TABLE[1].format(id), **more)


@dataclass(frozen=True)
class Case:
    """One situation.

    `expected`: by what is looked at (a method of `Stage`) the words that must be said.

    `main` and `staging`: path → text (None: deleted), the second upon the first. `packages`: a
    module of the project's environment → its source; with it, or with `variables`, the project's
    own command is the runner. `requirements`: packages of it that come from the index.
    """

    name: str
    expected: Mapping[str, str]
    main: Mapping[str, str | None]
    staging: Mapping[str, str | None] = field(default_factory=dict)
    alembic: str = "alembic.ini"
    command: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    version_table: str = "alembic_version"
    requirements: tuple[str, ...] = ()

    def build(self, where: Path) -> Mirror:
        """Return its repository: the tag c0 is production, the branch main (and c1) is to be
        released.
        """
        return repository(where, self.main, self.staging)


def usual(*revisions: str, env_py: str = "", ini: str = INI, **more: str) -> dict[str, str | None]:
    """Return the files of a usual layout: alembic.ini, db/env.py and db/versions."""
    return {"alembic.ini": ini, "db/env.py": env_py or env(), **files(*revisions), **more}
