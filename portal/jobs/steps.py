"""The engine of every step: read the current state, then write at most once.

A step is a function that looks first and may be killed after any line. What it finds is a value:
`Requeue` (look again), `Finished`, or an end of the step's own kind. Trouble outside is no find:
`patiently` looks again until it passes, or gives up.
"""

from collections.abc import Callable, Collection

from portal.jobs import Requeue
from portal.outbound.http import ApiError

# Kinds of trouble that do not pass by waiting.
FINAL: frozenset[str] = frozenset(
    {"refused", "forbidden", "unauthorized", "wrong_header", "not_found", "outdated"}
)
PAUSE = 2.0  # seconds between two looks
LIMITED_SECONDS = 60.0  # at least, where the vendor's quota is used up
WATCHING_SECONDS = 15.0  # between two looks of a step that may not write


def patiently[Found](
    look: Callable[[], Found],
    *,
    give_up: Callable[[Exception], Found] | None = None,
    late: bool = False,
    trouble: tuple[type[Exception], ...] = (ApiError,),
    final: Collection[str] = FINAL,
    pause: float = PAUSE,
    say: str = "{}",
) -> Found | Requeue:
    """Return what `look` found; after `trouble`, look again, or return what `give_up` makes of it.

    It gives up what does not pass by waiting (`final`), and all trouble once it is `late`; without
    `give_up` it never does. `pause` is the least number of seconds between two looks, and `say`
    what is said of the trouble meanwhile. A used-up quota never makes it late, nor does a project
    that only watches: its step goes on when somebody has done it otherwise.
    """
    try:
        return look()
    except trouble as error:
        kind = getattr(error, "kind", "")
        watching = kind == "watch_only" and kind not in final
        limited = kind == "rate_limited"
        if give_up is not None and (kind in final or (late and not watching and not limited)):
            return give_up(error)
        if watching:
            return Requeue(WATCHING_SECONDS, str(error))
        if limited:
            pause = max(pause, LIMITED_SECONDS)
        wait = max(getattr(error, "retry_after", None) or 0, pause)
        return Requeue(wait, say.format(error))
