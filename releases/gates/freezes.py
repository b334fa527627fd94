"""Whether promotions are frozen."""

from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import FAIL, PASS, Result


@gate("Not frozen", always=True, listed=False)
def not_frozen(facts: Facts) -> Result:
    """Require that no freeze is in force."""
    if facts.freeze:
        return Result(FAIL, f"Promotions are frozen: {facts.freeze}")
    return Result(PASS, "Promotions are not frozen.")
