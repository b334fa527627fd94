"""The kinds of findings, and a problem before it is one."""

from dataclasses import dataclass

from environments.models import (
    FindingKind,
)

# Findings of these kinds are opened and closed by comparison alone.
KINDS = (
    FindingKind.BRANCH,
    FindingKind.MISSING,
    FindingKind.BEHIND,
    FindingKind.ADDRESS,
    FindingKind.SAME,
    FindingKind.STRAY,
    FindingKind.UNREADABLE,
    FindingKind.SCHEMA,
    FindingKind.ROLLED_BACK,
    FindingKind.PUSH,
    FindingKind.TWICE,
    FindingKind.UPLOADED,
)


# What is shown beside a release and does not stop it.
BESIDE = (FindingKind.PROTECTION, FindingKind.BYPASS, FindingKind.ROLLED_BACK)


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be."""

    kind: str
    subject: str
    sentence: str
    attestable: bool = False
