"""What trouble outside means for a step: look again, or give up."""

import pytest

from portal.jobs import Requeue
from portal.jobs.steps import WATCHING_SECONDS, patiently
from portal.outbound.http import ApiError, WatchOnly


def _looking(error: Exception, **options):
    def look():
        raise error

    return patiently(look, give_up=lambda error: f"gave up: {error}", **options)


def test_what_was_found_comes_back():
    assert patiently(lambda: "there", give_up=str, late=True) == "there"


def test_trouble_that_passes_is_looked_at_again_as_late_as_the_vendor_asks():
    soon = _looking(ApiError("GitHub", "unavailable", "No answer."), late=False)
    later = _looking(ApiError("GitHub", "unavailable", "Wait.", retry_after=40), late=False)

    assert (soon, later) == (Requeue(2, "No answer."), Requeue(40, "Wait."))


@pytest.mark.parametrize("late", [False, True])
def test_a_refusal_is_final(late):
    refusal = ApiError("GitHub", "refused", "The branch moved.")

    assert _looking(refusal, late=late) == "gave up: The branch moved."


def test_after_its_patience_a_step_gives_up():
    assert _looking(ApiError("GitHub", "unavailable", "No answer."), late=True).startswith(
        "gave up"
    )


def test_a_project_that_only_watches_is_never_late_unless_its_step_says_so():
    withheld = WatchOnly("GitHub", "The project only watches.")

    assert _looking(withheld, late=True) == Requeue(WATCHING_SECONDS, str(withheld))
    assert _looking(withheld, late=False, final={"watch_only"}).startswith("gave up")


def test_a_bug_is_no_trouble_outside():
    with pytest.raises(KeyError):
        _looking(KeyError("x"), late=False)


def test_a_step_that_never_gives_up_waits_even_for_a_refusal():
    def look():
        raise ApiError("Railway", "forbidden", "Not yours.")

    assert patiently(look, pause=5, say="Seen: {}") == Requeue(5, "Seen: Not yours.")


def test_a_quota_that_is_used_up_is_waited_for_however_long():
    limited = ApiError("GitHub", "rate_limited", "Used up.", retry_after=5)

    assert _looking(limited, late=True) == Requeue(60, "Used up.")
