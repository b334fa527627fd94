"""What the portal makes of a case: one line for each thing that is looked at."""

import hashlib
import os
import secrets
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from environments.git.repository import Mirror
from environments.schema.history.env_file import read_meaning
from environments.schema.history.reader import compare, read, why_empty
from environments.schema.plan.edits import judge
from environments.schema.plan.render import make_plan
from environments.schema.rehearsal import rehearsal
from environments.schema.rehearsal.adoption import prove
from environments.schema.rehearsal.dump import differences, dump
from environments.schema.rehearsal.report import Report, Request
from environments.schema.run.command import Command
from environments.schema.run.request import Run
from environments.schema.run.runner import run
from tests.cases.builder import Case


def look_read(case: Case, mirror: Mirror) -> str:
    """Return the heads of `main` and what is new, edited and gone since c0; or the first
    problem's sentence.
    """
    history = read(mirror, "main", case.alembic)
    change = compare(mirror, "c0", "main", case.alembic)
    if problems := history.problems or change.problems:
        return problems[0].sentence
    if not history.revisions:
        return why_empty(mirror, "main", history)
    parts = [f"heads {' '.join(history.heads)}"]
    for word, found in (
        ("new", change.new),
        ("changed", change.changed),
        ("deleted", change.deleted),
    ):
        if found:
            parts.append(f"{word} {' '.join(one.id for one in found)}")
    return "; ".join(parts)


@contextmanager
def scratch(name: str = "") -> Iterator[str]:
    """The address of an empty database on the server of the test run, dropped afterwards."""
    name = name or f"case_{secrets.token_hex(6)}"
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def environment(case: Case, folder: Path) -> Path:
    """The environment of a case's project: our own packages, and modules in place of those that
    are too large here.
    """
    place = (
        folder.parent
        / "environments"
        / hashlib.sha256(
            repr((sorted(case.packages.items()), case.requirements)).encode()
        ).hexdigest()[:12]
    )
    if not place.exists() and case.requirements:
        venv.create(place, symlinks=True, with_pip=True)
        pip = [place / "bin" / "pip", "install", "--quiet", *case.requirements]
        subprocess.run(pip, check=True, capture_output=True)
    elif not place.exists():
        venv.create(place, symlinks=True)
        site = next(place.glob("lib/python*/site-packages"))
        (site / "ours.pth").write_text(sysconfig.get_path("purelib"))
        (place / "bin" / "alembic").write_text(
            f"#!{place}/bin/python\nimport sys\nfrom alembic.config import main\nsys.exit(main())\n"
        )
        (place / "bin" / "alembic").chmod(0o755)
        for path, text in case.packages.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
    return place


class Stage:
    """A case's repository and, at `url`, an empty database for what is in production."""

    def __init__(self, case: Case, folder: Path, url: str) -> None:
        self.case, self.folder, self.empty = case, folder, url
        self.mirror = case.build(folder / "git")

    @cached_property
    def url(self) -> str:
        """The address of the database in which the project's own command ran what is in
        production; it does when somebody first asks for it.
        """
        self.own(self.empty, "c0")
        return _with_driver(self.empty) if self.case.command else self.empty

    def own(self, url: str, ref: str) -> str:
        """Runs `alembic upgrade heads` with the project's own `env.py`; returns what went wrong,
        or "".
        """
        tree = self.folder / f"tree-{ref}"
        if not tree.exists():
            tree.mkdir()
            self.mirror.checkout_all(self.mirror.commit(ref), tree)
        ini = tree / self.case.alembic
        if not ini.exists():
            return "no configuration"
        done = subprocess.run(
            [
                environment(self.case, self.folder) / "bin" / "alembic",
                "-c",
                ini.name,
                "upgrade",
                "heads",
            ],
            cwd=ini.parent,
            env={"PATH": os.defpath, "DATABASE_URL": _with_driver(url), **self.case.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr.strip().splitlines()[-1] if done.returncode else ""

    def command(self) -> Command | None:
        """The project's own command with its environment, where the case has one."""
        if not self.case.command:
            return None
        return Command(
            self.case.command, environment(self.case, self.folder), variables=self.case.variables
        )

    def read(self) -> str:
        return look_read(self.case, self.mirror)

    def plan(self) -> str:
        """Return all SQL of the new revisions, with what keeps the plan from knowing it."""
        change = compare(self.mirror, "c0", "main", self.case.alembic)
        history = read(self.mirror, "main", self.case.alembic)
        plan = make_plan(
            self.mirror, self.mirror.commit("main"), history, change.new, command=self.command()
        )
        return " | ".join(
            " | ".join(
                [*(statement.sql for statement in step.upgrade.statements), step.upgrade.problem]
            )
            for step in plan.steps
        )

    def rehearsal(self) -> str:
        report = self.rehearsed()
        return " ".join([f"{report.status}:", report.sentence, *report.warnings])

    def rehearsed(self) -> Report:
        request = Request(
            self.mirror.commit("main"),
            self.case.alembic,
            self.url,
            root=self.folder.parent / "rehearsals" / self.folder.name,
            version_table=self.case.version_table,
            compare=False,
            command=self.command(),
        )
        return rehearsal.rehearse(
            self.mirror, request, on_phase=lambda *_: None, alive=lambda: True
        )

    def run(self, url: str = "", ref: str = "main") -> str:
        request = Run(
            self.mirror.commit(ref),
            self.case.alembic,
            url or self.url,
            version_table=self.case.version_table,
            lock_wait_s=30,
            time_limit_s=60,
            command=self.command(),
        )
        outcome = run(self.mirror, request, on_lines=lambda lines: None, alive=lambda: True)
        kept = f" kept: {'; '.join(outcome.kept)}" if outcome.kept else ""
        return f"{outcome.status}: {outcome.sentence}{kept}"

    def edits(self) -> str:
        """Return what each edited or deleted file comes to."""
        change = compare(self.mirror, "c0", "main", self.case.alembic)
        both = (
            read(self.mirror, "c0", self.case.alembic),
            read(self.mirror, "main", self.case.alembic),
        )
        found = judge(self.mirror, "c0", "main", change, both, ran=both[0].effective_heads)
        return " ".join(one.sentence for one in found)

    def forgotten(self) -> str:
        """Run over the tables of production without its version table."""
        with psycopg.connect(self.url) as opened:
            opened.execute("drop table alembic_version")
        return self.run()

    def proof(self) -> str:
        """Return which revision of `main` the schema is."""
        request = Request(
            self.mirror.commit("main"),
            self.case.alembic,
            self.url,
            root=self.folder.parent / "rehearsals" / self.folder.name,
            version_table=self.case.version_table,
            command=self.command(),
        )
        found = prove(self.mirror, request, on_tried=lambda *_: None, alive=lambda: True)
        return found.sentence

    def same(self) -> str:
        """Compare what the portal's runner makes of an empty database with what the project's
        own command makes.
        """
        with scratch() as theirs, scratch() as ours:
            if failed := self.own(theirs, "main"):
                return f"the project's own command fails: {failed}"
            ran = self.run(ours)
            if not ran.startswith("succeeded"):
                return f"refused: {ran}"
            return self._compared(theirs, ours)

    def _compared(self, theirs: str, ours: str) -> str:
        schemas = []
        for number, url in enumerate((theirs, ours)):
            schemas.append(dump(url, self.folder / f"dump-{number}.sql", lambda: True))
        found = differences(*schemas)
        history = read(self.mirror, "main", self.case.alembic)
        table = read_meaning(self.mirror, "main", history).table
        rows = [_rows(url, table) for url in (theirs, ours)]
        if rows[0] != rows[1]:
            return f"differs: {table} holds {rows[0]} and {rows[1]}"
        return f"differs: {found[0].sentence}" if found else "the same"


def _rows(url: str, table: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return sorted(
            row[0]
            for row in connection.execute(f"select version_num from {table}").fetchall()  # noqa: S608
        )


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
