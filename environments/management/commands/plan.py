"""`manage.py plan`: SQL and risks of the revisions between two commits, without a database."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.management.commands.revisions import add_place
from environments.schema.downgrade.compatibility import RollbackVerdict, assess_rollback
from environments.schema.history.reader import compare, read, why_empty
from environments.schema.plan.render import Plan, make_plan, steps_as_json
from environments.schema.plan.risk import Risk, assess
from environments.schema.plan.squawk import RiskError
from portal.outbound.parsing import JsonObject


class Command(BaseCommand):
    help = (
        "Shows what new revisions will do (SQL), what can go wrong, and the way back; needs no"
        " database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_place(parser, since="the ref that has the revisions which ran already")
        parser.add_argument(
            "--order", choices=["deploy_first", "migrate_first"], default="deploy_first"
        )

    def handle(self, *args: object, **options: Any) -> None:
        mirror, alembic = Mirror(options["repository"]), options["alembic"]
        try:
            commit = mirror.commit(options["ref"])
            history = read(mirror, commit, alembic)
            if not history.revisions and not history.problems:
                raise CommandError(why_empty(mirror, commit, history), returncode=2)
            since = options["since"] and mirror.commit(options["since"])
            change = compare(mirror, since, commit, alembic)
            if change.problems:
                message = " ".join(problem.sentence for problem in change.problems)
                raise CommandError(message, returncode=2)
            plan = make_plan(mirror, commit, history, change.new)
            risks = assess(plan.steps, order=options["order"])
        except (GitError, RiskError) as error:
            raise CommandError(str(error)) from None
        back = assess_rollback(plan.steps, risks)
        if options["json"]:
            document: JsonObject = {"commit": commit, "digest": plan.digest}
            document |= {"steps": steps_as_json(plan.steps), "rollback": asdict(back)}
            document["risks"] = [asdict(risk) for risk in risks]
            self.stdout.write(json.dumps(document))
        else:
            self.stdout.write("\n".join(_as_text(plan, risks, back)))


def _as_text(plan: Plan, risks: tuple[Risk, ...], back: RollbackVerdict) -> list[str]:
    lines = [] if plan.steps else ["No new revisions."]
    for step in plan.steps:
        lines += [f"-- {step.revision}  {step.path}  {step.message}", step.upgrade.text]
        lines += [f"-- not rendered: {step.upgrade.problem}"] if step.upgrade.kind else []
        for risk in (risk for risk in risks if risk.revision == step.revision):
            lines += [f"   {risk.severity}: {risk.sentence}"]
            lines += [f"      instead: {risk.rewrite}"] if risk.rewrite else []
        lines.append("")
    return [
        *lines,
        f"Way back: {back.verdict}",
        *(f"   {step}" for step in (*back.reasons, *back.steps)),
    ]
