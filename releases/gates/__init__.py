"""Gates: the rules that a release must satisfy, as pure functions `Facts -> Result`. Unknown is
never a pass.

A rule answers `pass` only from rows that are fresh and that say so in words it knows. What is
missing, stale, skipped, unreadable or new to us is `pending` or `fail`; what no machine can see is
`attest`: a person signs for it. The register is `registry.GATES`, one file for each subject;
`readiness` asks them all.
"""

from environments.services.liveness import liveness
from releases.gates.approvals import content_digest, fault_of
from releases.gates.branches import judge_checks
from releases.gates.migrations import same_databases
from releases.gates.readiness import (
    ChecklistLine,
    Readiness,
    decisive,
    lines,
    readiness_of,
    verdict,
)
from releases.gates.registry import GATES, Gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result

__all__ = [
    "ATTEST",
    "FAIL",
    "GATES",
    "PASS",
    "PENDING",
    "ChecklistLine",
    "Gate",
    "Readiness",
    "Result",
    "content_digest",
    "decisive",
    "fault_of",
    "judge_checks",
    "lines",
    "liveness",
    "readiness_of",
    "same_databases",
    "verdict",
]
