"""The people of the demo: who signs, ticks and accepts what a person may."""

import time

from django.contrib.auth.models import User

from releases import gates
from releases.approvals import actions as approvals_actions
from releases.checklist import actions as checklist_actions
from releases.demo.report import DemoFailed, Say
from releases.gates.context import Facts, facts_of
from releases.gates.edits import unaccepted
from releases.models.releases import Release

STUCK_SECONDS = 20.0


class Signing:
    """The gates, with all signed that a person may sign; gives up on what no time will change."""

    def __init__(self, release: Release, manager: User, second: User, say: Say) -> None:
        self.release, self.manager, self.second, self.say = release, manager, second, say
        self.stuck_since: float | None = None

    def ready(self) -> bool:
        """Return whether nothing is missing any more.

        Raise `DemoFailed` when only failures are left for a while.
        """
        facts = facts_of(self.release.pk)
        self._accept(facts)
        missing = gates.readiness_of(facts).missing
        for line in missing:
            if (
                line.result.state == gates.ATTEST
                and line.item
                and "Not rehearsed:" not in line.result.sentence
            ):
                note = f"Signed in the demo: {line.result.sentence}"[:2000]
                checklist_actions.tick(line.item, actor=self.manager, note=note)
                self.say(f"alice signs for “{line.text}”: {line.result.sentence}")
        # What was not signed above is for somebody who can fix it.
        ended = (gates.FAIL, gates.ATTEST)
        failing = [line.result.sentence for line in missing if line.result.state in ended]
        if not failing or len(failing) < len(missing):
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since = time.monotonic()
        elif time.monotonic() - self.stuck_since > STUCK_SECONDS:
            raise DemoFailed(" ".join(failing))
        return not missing

    def _accept(self, facts: Facts) -> None:
        for edit in unaccepted(facts.release):
            self._accept_risk(edit["revision"], edit["sha256"])
            self.say(f"bob accepts the edit of {edit['revision']}: {edit['sentence']}")
        for plan in (database.planned for database in facts.databases):
            if plan is None or plan.status != "succeeded":
                continue
            for step in plan.unaccepted:
                risks = " ".join(risk.sentence for risk in plan.asking(step))
                self._accept_risk(step.revision, step.sha256)
                self.say(f"bob accepts the risks of {step.revision}: {risks}")

    def _accept_risk(self, revision: str, sha256: str) -> None:
        approvals_actions.accept_risk(
            self.release,
            actor=self.second,
            revision=revision,
            sha256=sha256,
            reason="Accepted in the demo, where nothing real depends on it.",
        )
