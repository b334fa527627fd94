"""Reads answers of Railway: checks their shape, or raises an error that names the fault."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from environments.railway.transport import SERVICE
from portal.outbound.credentials import Secret
from portal.outbound.http import malformed, unknown_outcome
from portal.outbound.parsing import JsonObject, Malformed, field, optional

# Errors that say "not with this token", as against "no answer".
REFUSALS = frozenset({"unauthorized", "wrong_header", "forbidden", "not_found", "refused"})


@contextmanager
def shaped(*, write: bool = False) -> Iterator[None]:
    """Turn an answer of the wrong shape into an `ApiError`."""
    try:
        yield
    except Malformed as error:
        raise (unknown_outcome if write else malformed)(SERVICE, str(error)) from error


def part(data: Mapping[str, object], name: str) -> JsonObject:
    with shaped():
        return field(data, name, dict)


def secrets(data: Mapping[str, object], name: str) -> dict[str, Secret | None]:
    found = field(data, name, dict)
    return {key: _secret(found, key) for key in found}


def _secret(found: Mapping[str, object], name: str) -> Secret | None:
    value = optional(found, name, str)
    return None if value is None else Secret(value)
