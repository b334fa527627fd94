"""Runs every drift rule and updates the findings."""

from datetime import datetime

from environments.databases import schema_drift
from environments.databases import status as databases_status
from environments.drift import rules as drift_rules
from environments.drift.rules import Rows
from environments.finding_kinds.wiring import MISSING
from environments.findings.writer import update_findings
from environments.models import Finding, Project
from environments.variables import rules as variables_rules


def compare(project: Project, *, now: datetime, complete: bool = True) -> Rows:
    """Hold our rows against every rule, and bring the findings up to date; return the rows.

    What a reading that is not `complete` does not show is not called missing on its word.
    """
    rows = drift_rules.read_rows(project)
    instances = [live.instance for live in rows.lives]
    problems = [
        *drift_rules.problems(project, rows),
        *variables_rules.problems(project, rows.environments, instances),
        *schema_drift.problems(project, rows.databases),
    ]
    if not complete:
        known = Finding.objects.filter(project=project, kind=MISSING, closed_at=None)
        already = set(known.values_list("subject", flat=True))
        problems = [
            problem
            for problem in problems
            if problem.kind != MISSING or problem.subject[:300] in already
        ]
    problems += databases_status.problems(project, rows.databases, now=now)
    update_findings(project, problems, now=now)
    return rows
