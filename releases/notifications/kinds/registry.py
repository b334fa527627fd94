"""The register of notifications.

A new kind is one file here that calls `kind`, and its line in `KINDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from portal.models.audit import AuditEvent
from portal.registry import Registry, within

Test = Callable[[AuditEvent], bool]


@dataclass(frozen=True)
class Kind:
    """A kind of notification: the events that it tells, each with a further condition, and whom
    they await.

    `awaits`: event → permission. A person's own channel is told of such an event only if they have
    it and did not act themselves.
    """

    name: str
    label: str
    events: Mapping[str, Test]
    awaits: Mapping[str, str] = field(default_factory=dict)

    def tells(self, event: AuditEvent) -> bool:
        """Return whether this kind is about `event`."""
        test = self.events.get(event.action)
        return event.outcome != AuditEvent.Outcome.REFUSED and test is not None and test(event)


# Of two kinds that tell one event, a channel that wants both is told by the first.
KINDS: Registry[Kind] = Registry(
    within(
        "releases.notifications.kinds",
        "awaited",
        "failed",
        "shipped",
        "decided",
        "finding",
        "preview",
        "health",
    )
)


def kind(
    name: str, label: str, events: Mapping[str, Test], awaits: Mapping[str, str] | None = None
) -> Kind:
    """Register a kind and return it; the arguments are those of `Kind`."""
    return KINDS.add(name, Kind(name, label, events, awaits or {}))


def always(event: AuditEvent) -> bool:
    """Return True: every event of this name is told."""
    return True


def failed(event: AuditEvent) -> bool:
    """Return whether the event says that something failed."""
    return event.outcome == AuditEvent.Outcome.FAILED


def done(event: AuditEvent) -> bool:
    """Return whether the event says that something was done."""
    return event.outcome == AuditEvent.Outcome.DONE
