"""Who works on a repository, as its newest pull requests show."""

from environments.github.transport import Transport
from portal.outbound.parsing import Malformed, get_path, text

NEWEST, LOOKED_INTO = 100, 5
MEMBERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


def seen_members(transport: Transport, path: str, enough: int) -> frozenset[str]:
    """Return people of the repository who opened or reviewed pull requests lately; no more are
    looked for once there are `enough`. Raise `ApiError`, `Malformed`.
    """
    query = {"state": "all", "sort": "updated", "direction": "desc"}
    items = transport.get("list pull requests", f"{path}/pulls", per_page=NEWEST, **query)
    if not isinstance(items, list):
        raise Malformed("the list of pull requests is missing")
    found = {_member(item) for item in items} - {""}
    for item in items[:LOOKED_INTO]:
        number = get_path(item, "number")
        if len(found) >= enough or not isinstance(number, int):
            break
        reviews = transport.get("list reviews", f"{path}/pulls/{number}/reviews", per_page=NEWEST)
        found |= {_member(one) for one in (reviews if isinstance(reviews, list) else ())} - {""}
    return frozenset(found)


def _member(node: object) -> str:
    """Return the login of who wrote it; "" for a bot, and for who has no right in the
    repository.
    """
    if get_path(node, "user", "type") != "User":
        return ""
    member = get_path(node, "author_association") in MEMBERS
    return text(get_path(node, "user", "login"), 100).lower() if member else ""
