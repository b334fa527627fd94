"""Ways to have production run something else than staging ran; prints how many did (0).

    python -m tests.faults.what_ran

Some change what a revision can read between staging and production: then its identity must be
another. Others keep every file and send another statement in production, where they know that they
are: then it must not reach the server, neither by the portal's runner nor by the project's command,
nor through a connection of their own.
"""

import os

os.environ.setdefault("PORTAL_ENV_FILE", os.devnull)

# isort: split
from tests import scratch  # noqa: F401 - it starts a server and sets Django up

# isort: split
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg

from environments.schema.history.identity import bound
from environments.schema.history.reader import read
from environments.schema.run.alembic_env.statements import key_of
from environments.schema.run.command import Command
from environments.schema.run.request import Run
from environments.schema.run.runner import run
from portal.sandbox.sample_files import ALEMBIC_INI, ENV_PY
from tests.environments.schema.history.histories import repository, source
from tests.faults.hostile_code import fresh_database

Row = tuple[str, str, str]  # the way, what came of it ("" is nothing), why it came to nothing
ID = "aaaa00000001"
BASE = {"backend/alembic.ini": ALEMBIC_INI, "backend/alembic/env.py": ENV_PY}
FILE = "backend/alembic/versions/1.py"
HONEST = 'op.execute("create table honest (id int)")'
# name → (body of the revision, what is changed beside it, whether only a command can read that)
EDITS: dict[str, tuple[str, str, bool]] = {
    "data.sql beside the revision": (
        'op.execute(open(__file__.replace("1.py", "data.sql")).read())',
        "backend/alembic/versions/data.sql",
        False,
    ),
    "a file that pathlib finds": (
        "import pathlib; pathlib.Path('x')",
        "backend/alembic/seed.json",
        False,
    ),
    "a helper module": (
        "import helper; op.execute(helper.SQL)",
        "backend/alembic/versions/helper.py",
        False,
    ),
    "a helper by a made-up name": (
        "__import__('hel' + 'per')",
        "backend/alembic/versions/helper.py",
        False,
    ),
    "code that is put together": ("eval('op')", "backend/alembic/env.py", False),
    "a file that a config names": (
        "op.get_context().config.get_main_option('x')",
        "backend/alembic/x.ini",
        False,
    ),
    "env.py, by a command": (HONEST, "backend/alembic/env.py", True),
    "a module of the application, by a command": (
        "from app import NAME",
        "backend/app/__init__.py",
        True,
    ),
    "a variable of the environment": (
        "import os; os.environ.get('X')",
        "backend/alembic/vars.env",
        False,
    ),
}
_OWN = (
    "import os, psycopg\n    url = os.environ.get('DATABASE_URL') or "
    "op.get_bind().engine.url.render_as_string(hide_password=False).replace('+psycopg', '')\n"
    "    with psycopg.connect(url) as c: c.execute('{}')"
)
HERE = "'production' in (op.get_bind().engine.url.database or '')"
# name → what the revision does in production only; all render and run the honest table in staging
TRICKS = {
    "harmless SQL offline, another online": "op.execute('create table evil (id int)')",
    "a statement past SQLAlchemy": (
        "op.get_bind().connection.cursor().execute('create table evil (id int)')"
    ),
    "two statements as one": (
        "op.execute('create table honest2 (id int); create table evil (id int)')"
    ),
    "a connection of its own": _OWN.format("create table evil (id int)"),
    "a connection of its own, as a script": _OWN.format(
        "do $$ begin create table evil (id int); end $$"
    ),
    "select into": _OWN.format("select 1 as id into evil"),
    "with and select into": _OWN.format("with x as (select 1 as id) select id into evil from x"),
    "a comment before": (
        "op.execute('/* create table honest (id int) */ create table evil (id int)')"
    ),
    "a program of its own": (
        "import os, subprocess, sys\n    url = os.environ.get('DATABASE_URL') or"
        " op.get_bind().engine.url.render_as_string(hide_password=False).replace('+psycopg', '')\n "
        "   subprocess.run([sys.executable, '-c', 'import psycopg, sys;"
        ' psycopg.connect(sys.argv[1], autocommit=True).execute("create table evil (id int)")\','
        " url])"
    ),
}


def edited(where: Path) -> Iterator[Row]:
    """Whether an edit of what a revision reads leaves it the revision that staging ran."""
    for number, (name, (body, path, command)) in enumerate(EDITS.items()):
        files = BASE | {FILE: source(ID, body=body)}
        mirror = repository(
            where / str(number), files | {path: files.get(path, "one")}, {path: "# two"}
        )
        seen = []
        for ref in ("c0", "c1"):
            history = read(mirror, mirror.commit(ref), "backend/alembic.ini")
            [one] = bound(
                mirror, mirror.commit(ref), history, history.revisions.values(), command=command
            )
            seen.append(one.sha256)
        yield (
            name,
            "the same revision" if seen[0] == seen[1] else "",
            "another revision, which staging has to run",
        )


def tricked(where: Path, admin: str) -> Iterator[Row]:
    """Whether a statement of production only reaches its server, by both runners."""
    for number, (name, body) in enumerate(TRICKS.items()):
        body = f"{HONEST}\n    if {HERE}:\n        " + body.replace("\n    ", "\n        ")
        mirror = repository(where / f"t{number}", BASE | {FILE: source(ID, body=body)})
        for how, command in (
            ("portal", None),
            ("command", Command(f"cd backend && {sys.executable} -m alembic upgrade head")),
        ):
            yield f"{name}, {how}", *_both(mirror, admin, command)


def _both(mirror, admin: str, command: Command | None) -> tuple[str, str]:
    request = Run(
        mirror.commit("main"), "backend/alembic.ini", "", time_limit_s=60, command=command
    )
    with fresh_database(admin) as staging:
        ran = run(
            mirror, replace(request, url=staging), on_lines=lambda _: None, alive=lambda: True
        )
    assert ran.status == "succeeded", ran
    keys = [key for key, _ in ran.executed[ID]] + [key_of("create table honest (id int)")]
    with fresh_database(admin, "production") as production:
        wanted = replace(request, url=production, expected={ID: keys})
        ended = run(mirror, wanted, on_lines=lambda _: None, alive=lambda: True)
        with psycopg.connect(production) as opened:
            [[there]] = opened.execute("select to_regclass('evil') is not null").fetchall()
    return "the table is there" if there else "", f"{ended.status}: {ended.sentence}"


def main() -> None:
    """Print the table; exit with 1 when any way had production run something else."""
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for found in (edited(Path(name)), tricked(Path(name), os.environ["DATABASE_URL"])):
            for way, won, why in found:
                print(f"{way:55} {'SUCCEEDED: ' + won if won else 'no: ' + why}"[:220], flush=True)
                wrong += [way] if won else []
    tried = len(EDITS) + 2 * len(TRICKS)
    print(f"{tried} tried, {len(wrong)} succeeded.")
    if wrong:
        raise SystemExit("Production ran something else: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
