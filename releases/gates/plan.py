"""What the migrations of a release will do, and what of it an approver has accepted, as the
gates see it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_datetime

from environments.models import MigrationPlan
from environments.schema.plan.render import Step, steps_from_json
from environments.schema.plan.risk import DANGER, Risk
from environments.schema.plan.table_stats import Table, many
from portal.outbound.parsing import JsonObject
from releases.gates.sql_diff import Staged, unplanned
from releases.models.approvals import RiskAcceptance

PLANNED = ("status", "sentence", "steps", "risks", "met", "digest", "starts", "renderer")
WORD = ("revision", "sha256", "risks", "reason", "at", "user_id", "lapsed_why")
SHOWN = 50  # the newest that lapsed
KEPT = 500  # the newest acceptances of a project; an older one lapses rather than slow every page


@dataclass(frozen=True)
class Acceptance:
    """An approver's word on the risks of one revision file."""

    revision: str
    sha256: str
    risks: tuple[str, ...]
    who: str
    reason: str
    at: datetime | None = None
    user_id: int = 0
    lapsed_why: str = ""  # why it no longer counts

    def is_on(self, step: Step, risks: Collection[str] = ()) -> bool:
        """Return whether it is about exactly this file, and covers these risks."""
        same_file = (self.revision, self.sha256) == (step.revision, step.sha256)
        return same_file and set(risks) <= set(self.risks)


@dataclass(frozen=True)
class Planned:
    """A `MigrationPlan` row and the acceptances of its project, newest first."""

    status: str
    sentence: str = ""
    steps: tuple[Step, ...] = ()
    risks: tuple[Risk, ...] = ()
    met: JsonObject = field(default_factory=dict)
    accepted: tuple[Acceptance, ...] = ()
    digest: str = ""
    # environments.databases.pending, by kind of environment.
    starts: JsonObject = field(default_factory=dict)
    renderer: str = ""
    lapsed: tuple[Acceptance, ...] = ()  # what was accepted once, newest first

    @property
    def files(self) -> set[tuple[str, str]]:
        """Revision and hash of every file that was planned."""
        return {(step.revision, step.sha256) for step in self.steps}

    def steps_for(self, kind: str) -> tuple[Step, ...]:
        """Return what is to run in the environment of this kind, in order."""
        start = self.starts.get(kind, {})
        known = (*self.steps, *steps_from_json(start.get("also", ())))
        by_id = {step.revision: step for step in known}
        return tuple(by_id[id] for id in start.get("revisions", ()) if id in by_id)

    def of(self, step: Step) -> tuple[Risk, ...]:
        """Return the risks of one step."""
        return tuple(risk for risk in self.risks if risk.revision == step.revision)

    def asking(self, step: Step) -> tuple[Risk, ...]:
        """Return those of its risks that somebody must accept."""
        return tuple(risk for risk in self.of(step) if risk.asks)

    def acceptance(self, step: Step) -> Acceptance | None:
        """Return the word that covers all these risks of exactly this file, if there is one."""
        wanted = set(names(self.asking(step)))
        return next(
            (acceptance for acceptance in self.accepted if acceptance.is_on(step, wanted)), None
        )

    def lapsed_acceptance(self, step: Step) -> Acceptance | None:
        """Return the newest word on this file that a change of configuration undid."""
        return next((acceptance for acceptance in self.lapsed if acceptance.is_on(step)), None)

    @property
    def unaccepted(self) -> tuple[Step, ...]:
        """The steps whose risks wait for an approver."""
        return tuple(
            step for step in self.steps if self.asking(step) and self.acceptance(step) is None
        )

    @property
    def met_words(self) -> str:
        """One sentence on what production's database was like when the plan was made."""
        if message := self.met.get("problem"):
            return f"Sizes are not known: {message}"
        tables = {name: Table(**values) for name, values in self.met.get("tables", {}).items()}
        tables_met = [f"{name} {many(table.size)}B" for name, table in sorted(tables.items())]
        sentence = f"In production: {', '.join(tables_met)}." if tables_met else ""
        if seconds := self.met.get("longest_s"):
            sentence += f" A transaction was open for {seconds / 60:.0f} min; locks wait for it."
        return sentence


def names(risks: Sequence[Risk]) -> list[str]:
    """Return what an acceptance is bound to beside the file: each risk's severity and code."""
    return sorted({f"{risk.severity} {risk.code}" for risk in risks})


def annotations() -> dict[str, object]:
    """Return the plans of a release's candidate and its project's acceptances, for its query."""
    plans = MigrationPlan.objects.filter(
        project=OuterRef("project"), commit=OuterRef("candidate"), base=OuterRef("base")
    ).order_by()
    plan = JSONObject(database="database_id", **{name: name for name in PLANNED})
    words = RiskAcceptance.objects.filter(project=OuterRef("project")).order_by("-pk")
    rows = words.values(row=JSONObject(who="user__username", **{name: name for name in WORD}))
    return {
        "plan_rows": ArraySubquery(plans.values(row=plan)),
        "accepted_rows": ArraySubquery(rows.filter(lapsed_at=None)[:KEPT]),
        "lapsed_rows": ArraySubquery(rows.filter(lapsed_at__isnull=False)[:SHOWN]),
    }


def words_on(release: Any) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return the rows of what was accepted and of what lapsed; of a release that ended as they were
    then, also when whoever accepted has left since.
    """
    kept = release.record
    valid = [row for row in release.accepted_rows if row["user_id"] in release.signers]
    return kept.get("accepted", valid), kept.get("lapsed", release.lapsed_rows)


def planned_of(release: Any) -> dict[int, Planned]:
    """Return what `annotations` brought along: database → its plan, where one was begun."""
    given, undone = words_on(release)
    accepted = tuple(
        _acceptance(row)
        for row in given
        if row["user_id"] != release.cut_by_id  # also one that was given for an earlier release
    )
    lapsed = tuple(map(_acceptance, undone))
    return {
        row.pop("database"): Planned(
            **row
            | {
                "steps": steps_from_json(row["steps"]),
                "risks": tuple(Risk(**risk) for risk in row["risks"]),
                "accepted": accepted,
                "lapsed": lapsed,
            }
        )
        for row in map(dict, release.plan_rows)
    }


def _acceptance(row: JsonObject) -> Acceptance:
    return Acceptance(**{**row, "risks": tuple(row["risks"]), "at": parse_datetime(row["at"])})


def with_unplanned(plan: Planned, staged: Mapping[tuple[str, str], Staged]) -> Planned:
    """Return the plan with a risk for each revision of which staging's run sent what the plan
    does not show.
    """
    risks = []
    for step in plan.steps:
        ran = staged.get(file := (step.revision, step.sha256))
        if ran and (sent := unplanned(step, ran)):
            more = f" and {len(sent) - 1} more" if len(sent) > 1 else ""
            message = f"Staging's run {ran.run} sent a statement that the plan does not show{more}."
            risks.append(Risk("unplanned-sql", DANGER, *file, message, sql=sent[0][:2000]))
    return replace(plan, risks=(*risks, *plan.risks)) if risks else plan
