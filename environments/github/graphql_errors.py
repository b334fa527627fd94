"""What an answer of GitHub's GraphQL API without the repository means."""

from environments.github.transport import SERVICE
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import get_path, quoted, text


def graphql_error(errors: list[object], repository: str) -> ApiError:
    """Return what an answer without the repository means."""
    first = errors[0] if errors else {}
    words, kind = (
        quoted(get_path(first, "message")),
        text(get_path(first, "type")) or text(get_path(first, "extensions", "code")),
    )
    if kind.upper() in {"RATE_LIMITED", "RATE_LIMIT"} or "rate limit" in words.lower():
        sentence = "GitHub's request limit is used up: the portal waits for the next hour."
        return ApiError(
            SERVICE, "rate_limited", sentence, status=200, retry_after=60.0, detail=words
        )
    if kind.upper() == "NOT_FOUND":
        sentence = (
            f"GitHub shows no repository {repository} to the token: check its name and the token's"
            " access."
        )
        return ApiError(SERVICE, "not_found", sentence, status=200, detail=words)
    if kind.upper() in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        sentence = (
            f"GitHub does not let the token read {repository} ({words}): give it that permission."
        )
        return ApiError(SERVICE, "forbidden", sentence, status=200, detail=words)
    if kind in {"undefinedField", "argumentNotAccepted", "missingRequiredArguments"}:
        sentence = (
            f"GitHub no longer knows a field the portal asks for ({words}): the portal needs an"
            " update."
        )
        return ApiError(SERVICE, "outdated", sentence, status=200, detail=words)
    if words:
        sentence = f"GitHub could not answer ({words}). The portal asks again later."
        status = 504 if "timeout" in words.lower() else 200  # its own time limit, wrapped in a 200
        return ApiError(SERVICE, "unavailable", sentence, status=status, detail=words)
    return http.malformed(SERVICE, "no repository in it", 200)
