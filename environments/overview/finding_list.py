"""The open findings as the page shows them: grouped by kind, and those of one kind alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from environments.models import Finding


@dataclass(frozen=True)
class FindingRow:
    """One finding, what a click can do about it, and the rules that differ."""

    finding: Finding
    remedy: dict[str, str] | None
    rules: list[dict[str, str]]


@dataclass(frozen=True)
class Group:
    """The findings of one kind; `key` is what the address calls it."""

    key: str
    label: str
    rows: list[FindingRow]


def finding_list(rows: Sequence[FindingRow], kind: str) -> dict[str, object]:
    """Return what the template shows: `groups` of the kind that is asked for, or of every kind.

    `kinds` are all of them with their counts, and `findings` the number of open ones. What blocks
    a release comes first.
    """
    by_kind: dict[str, list[FindingRow]] = {}
    for row in sorted(rows, key=lambda row: row.finding.attestable):
        by_kind.setdefault(row.finding.kind, []).append(row)
    groups = [Group(key, some[0].finding.get_kind_display(), some) for key, some in by_kind.items()]
    shown = [group for group in groups if group.key == kind] or groups
    return {
        "findings": len(rows),
        "finding_kinds": groups,
        "finding_groups": shown,
        "finding_kind": shown[0].key if len(shown) == 1 and len(groups) > 1 else "",
    }
