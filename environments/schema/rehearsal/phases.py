"""One rehearsal, phase by phase, over a scratch server that runs already."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from environments.git.repository import Mirror
from environments.schema.history import identity
from environments.schema.history import status as history_status
from environments.schema.history.graph import History
from environments.schema.history.reader import Revision
from environments.schema.plan.render import without_passwords
from environments.schema.rehearsal.dump import (
    Cancelled,
    Difference,
    DumpError,
    differences,
    drift,
    dump,
    load,
    settled,
)
from environments.schema.rehearsal.over_scratch import read_target, run_in, trip, version_text
from environments.schema.rehearsal.report import (
    DOWNGRADE,
    FAILED,
    PASSED,
    UNKNOWN,
    UPGRADE,
    Report,
    Request,
    UnknownError,
    summary,
)
from environments.schema.rehearsal.scratch_server import Scratch
from environments.schema.rehearsal.statements import statements
from environments.schema.run import address, database
from environments.schema.run.process import Child
from environments.schema.run.request import Outcome

_EXTENSION = re.compile(r'extension "([^"]+)" is not available')


@dataclass
class Rehearsal:
    mirror: Mirror
    request: Request
    history: History
    scratch: Scratch
    report: Report
    on_phase: Callable[[Report, str], None]
    alive: Callable[[], bool]
    # The child of the next run. To start one takes longer than most runs, so it starts beside what
    # comes before.
    waiting: Child = field(init=False)

    def run(self) -> None:
        self.waiting = Child(self.scratch.work, early=True)
        try:
            self._all()
        finally:
            self.waiting.close()

    def _all(self) -> None:
        report = self.report
        request = self.request
        with self._phase("read"):
            text = self._read()
            steps, back = self._steps()
            bound = identity.bound(
                self.mirror, request.commit, self.history, steps, command=request.project_code
            )
            report.files = tuple(
                {"id": file.id, "path": file.path, "sha256": file.sha256} for file in bound
            )
        with self._phase("load"):
            url = self.scratch.create(address.normalise(request.url).database)
            load(text, url, self.scratch.work / "load.sql", self.alive)
            self._set_revisions(url)
            original = self._schema(url)
        if not self._up_down_up(url, original, back):
            return
        if self._compares():
            with self._phase("compare"):
                self._compare(original)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.on_phase(self.report, name)
        began = time.monotonic()
        yield
        self.report.phases += ((name, time.monotonic() - began),)

    def _read(self) -> str:
        """Return the target's schema as text."""
        request, report = self.request, self.report
        target = read_target(self.scratch, request.url, request.version_table, self.alive)
        report.start, report.server = target.revisions, target.server
        report.scratch = version_text(self.scratch.version)
        return target.schema

    def _steps(self) -> tuple[tuple[Revision, ...], str]:
        """Return what is to run, and the revision to go back to ("": one step cannot be named)."""
        report, history = self.report, self.history
        unknown = [revision for revision in report.start if revision not in history.revisions]
        if unknown:
            raise UnknownError(
                f"The database is at {unknown[0]}, which is in no file at"
                f" {self.request.commit[:7]}; take a commit that has it. {history_status.PROVE}"
            )
        back = report.start[0] if len(report.start) == 1 else "" if report.start else "base"
        if self.request.direction == UPGRADE:
            report.target = tuple(history.effective_heads)
            return history.between(report.start, report.target), back
        down = history.revisions[report.start[0]].down if len(report.start) == 1 else ()
        if len(report.start) != 1 or len(down) > 1:
            raise UnknownError(
                "Only a database with one head, which is no merge, can go one revision back."
            )
        report.target = down
        return history.back(report.start, down[0] if down else "base"), back

    def _set_revisions(self, url: str) -> None:
        if not self.report.start:
            return
        table = database.identifier(self.request.version_table)
        with psycopg.connect(url) as opened:
            opened.execute(
                sql.SQL("insert into {} select unnest(%s::text[])").format(table),
                [list(self.report.start)],
            )

    def _schema(self, url: str) -> str:
        return dump(url, self.scratch.work / "now.sql", self.alive)

    def _differences(self, before: str, after: str) -> tuple[Difference, ...]:
        try:
            return settled(before, after, self._trip, without=self._version_table)
        except DumpError as error:
            if error.busy:
                raise
            return differences(before, after, without=self._version_table)

    @property
    def _version_table(self) -> str:
        return database.split_table(self.request.version_table)[0]

    def _trip(self, text: str) -> str:
        return trip(self.scratch, text, self.alive)

    def _up_down_up(self, url: str, original: str, back: str) -> bool:
        """Do the three runs; return False when there is nothing more to learn."""
        report, upgrade = self.report, self.request.direction == UPGRADE
        there = (UPGRADE, report.target) if upgrade else (DOWNGRADE, report.target or ("base",))
        with self._phase("first"):
            outcome = self._go(url, "first", *there)
            if lacking := _EXTENSION.search(outcome.sentence):
                raise UnknownError(
                    f"Revision {outcome.failed_revision or report.target[0]} creates the extension"
                    f" {lacking[1]}, which the scratch server does not have. Rehearse on a copy "
                    "manually and sign off."
                )
            if outcome.status != "succeeded":
                report.status = FAILED if outcome.status == "failed" else UNKNOWN
                report.sentence = outcome.sentence
                report.failed_statement = outcome.failed_statement
                return False
            reached = self._schema(url)
            report.changes = differences(original, reached, without=self._version_table)
        with self._phase("back"):
            returned = self._back(url, original, back)
        if not upgrade or back:
            with self._phase("again"):
                self._again(url, there, reached, returned)
        if report.status != FAILED:
            report.status, report.sentence = PASSED, summary(self.request, report)
        return True

    def _back(self, url: str, original: str, back: str) -> bool:
        """Go back to where the database was; whether that brought the schema back exactly."""
        report = self.report
        if self.request.direction == DOWNGRADE:
            outcome = self._go(url, "back", UPGRADE, report.start)
        elif not back:
            report.warnings += ("The downgrade was not rehearsed: the database has several heads.",)
            return False
        else:
            self._name_irreversible()
            outcome = self._go(url, "back", DOWNGRADE, (back,))
        if outcome.status != "succeeded":
            report.warnings += (f"The downgrade failed: {outcome.sentence}",)
            return False
        report.left = self._differences(original, self._schema(url))
        if report.left:
            more = f" and {len(report.left) - 1} more" if len(report.left) > 1 else ""
            report.warnings += (
                f"The downgrade leaves the schema different: {report.left[0].sentence}{more}.",
            )
        return not report.left

    def _name_irreversible(self) -> None:
        ids = (file["id"] for file in self.report.files)
        if empty := [id for id in ids if not self.history.revisions[id].has_downgrade]:
            self.report.warnings += (f"Without a downgrade: {', '.join(empty)}.",)

    def _again(
        self, url: str, there: tuple[str, tuple[str, ...]], reached: str, returned: bool
    ) -> None:
        report = self.report
        outcome = self._go(url, "again", *there)
        if outcome.status != "succeeded":
            message = f"The second upgrade failed: {outcome.sentence}"
            if returned:  # the same schema, and yet another outcome
                report.status, report.sentence = FAILED, message
                report.failed_statement = outcome.failed_statement
            else:
                report.warnings += (message,)
        elif returned and (other := self._differences(reached, self._schema(url))):
            report.warnings += (f"The second upgrade led to another schema: {other[0].sentence}.",)

    def _go(self, url: str, run: str, direction: str, target: tuple[str, ...]) -> Outcome:
        with closing(self._child(run)) as child:
            outcome = run_in(
                self.scratch, self.mirror, self.request, url, direction, target, child, self.alive
            )
        if outcome.status == "cancelled":
            raise Cancelled
        self.report.statements += statements(run, outcome.recorded)
        return replace(
            outcome,
            sentence=without_passwords(outcome.sentence),
            failed_statement=without_passwords(outcome.failed_statement),
        )

    def _child(self, run: str) -> Child:
        """Return the child that waits, while that of the run after this one starts."""
        child = self.waiting
        if run != ("expected" if self._compares() else "again"):
            self.waiting = Child(self.scratch.work, early=True)
        return child

    def _compares(self) -> bool:
        return self.request.compare and self.request.direction == UPGRADE

    def _compare(self, original: str) -> None:
        """Compare the real schema with one that the migrations alone make."""
        report = self.report
        if not report.start:
            report.drift_problem = "The database has no revision, so it has no expected schema."
            return
        url = self.scratch.create("rehearsal_expected")
        recorded, report.statements = report.statements, ()
        outcome = self._go(url, "expected", UPGRADE, report.start)
        report.statements = recorded
        if outcome.status != "succeeded":
            why = "The migrations alone could not build the schema to compare with"
            report.drift_problem = f"{why}: {outcome.sentence}"
            return
        expected = self._schema(url)
        try:
            report.drift = drift(expected, original, self._trip, without=self._version_table)
        except DumpError as error:
            report.drift_problem = f"The two schemas could not be compared: {error}"
