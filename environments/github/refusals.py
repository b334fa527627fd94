"""What an answer of GitHub with an error status means, by its status and its words."""

from http import HTTPStatus

from portal.outbound import http
from portal.outbound.http import Kind, Reply
from portal.outbound.parsing import get_path, quoted, text

SERVICE = "GitHub"
LIMITED = "GitHub's request limit is used up: the portal waits for the next hour."
# GitHub: "Troubleshooting the REST API", validation failed.
VALIDATION = "Validation Failed"
CODES = {
    "missing": "{resource} does not exist",
    "missing_field": "{field} is missing",
    "invalid": "{field} is not valid",
    "already_exists": "{resource} with this {field} exists already",
    "unprocessable": "{field} is not valid",
    "too_large": "{field} is too large",
}


def _said(error: object) -> str:
    """Return one error in GitHub's own words where it has any, else in its code's."""
    if not isinstance(error, dict):
        return quoted(error, 200)
    if own := quoted(error.get("message"), 200):
        return own
    names = {name: text(error.get(name), 60) or "a field" for name in ("resource", "field")}
    return CODES.get(text(error.get("code"), 40), "{field} is refused").format_map(names)


def words_of(reply: Reply) -> str:
    """Return GitHub's own words: its `message`, and those of its `errors`."""
    try:
        body = reply.json()
    except ValueError:
        return ""
    errors = get_path(body, "errors")
    words = [quoted(get_path(body, "message"), 200)]
    words += [_said(part) for part in (errors if isinstance(errors, list) else [])[:5]]
    if words[0] == VALIDATION:  # GitHub's word for every 422: what follows says what it is
        words = words[1:] or ["it does not say why"]
    return ": ".join(filter(None, words))


def meaning(reply: Reply, doing: str, words: str, write: bool) -> tuple[Kind, str]:
    """Return the kind of error, and a sentence; `doing` completes “GitHub cannot …”."""
    status, message = reply.status, f" ({words})" if words else ""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            sentence = f"GitHub refuses the token{message}: make a new one and set it."
            return "unauthorized", sentence
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "rate_limited", LIMITED
        case HTTPStatus.FORBIDDEN:
            return _forbidden(reply, doing, words, message)
        case HTTPStatus.NOT_FOUND:
            where = "it does not exist or the token may not see it; check name and token"
            return "not_found", f"GitHub cannot {doing}: {where}."
        case HTTPStatus.CONFLICT:
            fix = "Reload the page, then decide"
            return "conflict", f"GitHub cannot {doing} because something changed{message}. {fix}."
    return _by_class(status, doing, message, write)


def _forbidden(reply: Reply, doing: str, words: str, message: str) -> tuple[Kind, str]:
    if _is_limit(reply, words):
        return "rate_limited", LIMITED
    if "upgrade" in words.lower():
        fix = "change the plan, or do without"
        return "refused", f"GitHub does not {doing} on this plan{message}: {fix}."
    needs = text(reply.headers.get("x-accepted-github-permissions"))
    need = f"give it {needs}" if needs else "give it that permission"
    return "forbidden", f"GitHub does not let the token {doing}{message}: {need}."


def _by_class(status: int, doing: str, message: str, write: bool) -> tuple[Kind, str]:
    if 300 <= status < 400:
        fix = "use its new name (page Branch protections)"
        return "not_found", f"GitHub cannot {doing}: the repository was renamed; {fix}."
    if status >= 500 and write:
        return "unknown_outcome", http.unknown_outcome(SERVICE).sentence
    if status >= 500:
        later = "The portal tries again later"
        return "unavailable", f"GitHub is out of order (HTTP {status}). {later}."
    if 200 <= status < 300:
        return "malformed", http.malformed(SERVICE, f"unexpected HTTP {status}").sentence
    return "refused", f"GitHub refuses to {doing}{message}. Fix that on GitHub, then try again."


def _is_limit(reply: Reply, words: str) -> bool:
    return (
        "retry-after" in reply.headers
        or reply.number("x-ratelimit-remaining") == 0
        or "rate limit" in words.lower()
    )


def seconds_to_wait(reply: Reply, now: float) -> float | None:
    """Return Retry-After, else the time to the reset, else a minute (GitHub's best practices)."""
    seconds = http.retry_after(reply.headers, now)
    if seconds is not None or reply.status >= 500:
        return seconds
    reset = reply.number("x-ratelimit-reset")
    if reply.number("x-ratelimit-remaining") == 0 and reset is not None:
        return max(reset - now, 1.0)
    return 60.0
