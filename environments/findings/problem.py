"""A problem before it is a finding."""

from dataclasses import dataclass

from environments.finding_kinds.registry import KINDS


@dataclass(frozen=True)
class Problem:
    """One difference. `attestable`: no machine can see it, so a person may sign for it."""

    kind: str
    subject: str
    sentence: str
    attestable: bool = False

    def __post_init__(self) -> None:
        if self.attestable and not KINDS[self.kind].sign_off:
            raise ValueError(f"A finding of the kind {self.kind} cannot be signed off.")
