"""What a person sent while something was still to be proven: kept in the session, and sent again
by their own click.
"""

from django.http import HttpRequest
from django.utils import timezone

from portal.models.sign_in_policy import Policy
from portal.outbound.parsing import JsonObject

KEY = "held_form"
MINUTES, MOST_LETTERS = 30, 200_000


def hold(request: HttpRequest, policy: Policy, then: str, by: int | None) -> None:
    """Keep this request's form. `then`: where the person was; `by`: the account it is kept for.

    A form with a secret, which its view marks by `sensitive_post_parameters`, is typed again.
    """
    if getattr(request, "sensitive_post_parameters", None):
        return
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if name != "csrfmiddlewaretoken"
        for value in values
    ]
    if sum(len(value) for _, value in fields) > MOST_LETTERS:
        fields = []
    request.session[KEY] = {
        "path": request.path,
        "method": request.method,
        "fields": fields,
        "then": then,
        "by": by,
        "second_factor": policy.second_factor,
        "minutes": policy.minutes,
        "at": timezone.now().timestamp(),
    }


def held(request: HttpRequest) -> JsonObject | None:
    """Return what is kept for the person who is signed in; None when there is nothing, or it is too
    old.
    """
    kept = request.session.get(KEY)
    if (
        not kept
        or timezone.now().timestamp() - kept["at"] > MINUTES * 60
        or kept["by"] not in (None, request.user.pk)
    ):
        return None
    return kept


def policy(kept: JsonObject | None) -> Policy:
    """Return what has to be proven before it may be sent."""
    return Policy(kept["second_factor"], kept["minutes"]) if kept else Policy()


def forget(request: HttpRequest) -> None:
    """Forget the form once it was sent."""
    if KEY in request.session:
        del request.session[KEY]
