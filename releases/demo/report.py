"""What a run of the demo tells: its report, and that in a few lines for people."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils import timezone

from portal.outbound.parsing import JsonObject

Say = Callable[[str], None]


class DemoFailed(Exception):
    """Something differed from what was expected; the message says what."""


@dataclass
class Report:
    """What `--json` prints on its last line."""

    ok: bool = False
    problem: str = ""
    release: str = ""
    status: str = ""
    candidate: str = ""
    merge_commit: str = ""
    steps: list[JsonObject] = field(default_factory=list)
    revisions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    migrations: list[str] = field(default_factory=list)
    audit: JsonObject = field(default_factory=dict)
    seconds: float = 0.0

    def line(self) -> str:
        return json.dumps(self.__dict__, sort_keys=True)


def summary(report: Report) -> list[str]:
    """Return the end of the demo in a few lines for people."""
    lines = [
        "",
        f"Release {report.release or '-'}: {report.status or 'not done'} in {report.seconds:.1f} s",
    ]
    lines += [
        f"  {step['name']:<14}{step['status']:<9}{step['seconds'] or 0:7.2f} s  {step['sentence']}"
        for step in report.steps
    ]
    for kind, seen in report.revisions.items():
        lines.append(f"  {kind:<11} {_said(seen.get('before'))} → {_said(seen.get('after'))}")
    for name, heads in report.branches.items():
        lines.append(f"  {name:<11} {heads.get('before', '')[:7]} → {heads.get('after', '')[:7]}")
    lines.append(f"  audit       {report.audit['events']} events. {report.audit['sentence']}")
    return lines


def _said(revisions: list[str] | None) -> str:
    return "unknown" if revisions is None else ", ".join(revisions) or "empty"


def now_line(started: float, text: str) -> str:
    """Return one line of the demo's output: seconds since the start, and what happened."""
    return f"{timezone.localtime():%H:%M:%S}  {time.monotonic() - started:6.1f} s  {text}"
