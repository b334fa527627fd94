"""The gate that asks whether GitHub holds the portal's verdict."""

from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import PASS, PENDING, Result


@gate("Verdict posted", always=True, listed=False)
def verdict_told(facts: Facts) -> Result:
    """Require that GitHub holds the portal's verdict: otherwise an older one may stand there."""
    if facts.project.watch_only:
        return Result(PASS, "Watch only: no verdict is posted.")
    if facts.verdict_problem:
        why = facts.verdict_problem
        return Result(PENDING, f"The verdict could not be posted to GitHub: {why}")
    return Result(PASS, "The verdict is on GitHub.")
