"""Holds requests and answers against GitHub's published descriptions, where they lie beside the
checkout.
"""

import functools
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

SHARED = Path(__file__).resolve().parents[3] / "../shared/github"

needs_it = [
    pytest.mark.official,
    pytest.mark.skipif(
        not (SHARED / "openapi.json").exists(),
        reason=(
            "GitHub's published descriptions are missing: no ../shared/github beside the checkout"
        ),
    ),
]


@functools.cache
def description() -> dict:
    return _as_json_schema(json.loads((SHARED / "openapi.json").read_text()))


def _as_json_schema(node):
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes a type, and a discriminator says nothing by
    itself.
    """
    if isinstance(node, list):
        return [_as_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {key: _as_json_schema(value) for key, value in node.items()}
    if found.pop("nullable", None) is True:
        found = {"anyOf": [found, {"type": "null"}]}
    return found


@functools.cache
def operations() -> list[tuple[str, re.Pattern, str]]:
    """(method, pattern, path) of every operation; fixed parts before named ones, as the server
    means them.
    """
    wide = {"branch", "ref", "path", "basehead"}
    found = []
    for path, methods in description()["paths"].items():
        pattern = re.sub(r"{(\w+)}", lambda m: ".+" if m[1] in wide else "[^/]+", path)
        found += [(method, re.compile(pattern), path) for method in methods]
    return sorted(found, key=lambda one: (one[2].count("{"), -len(one[2])))


def operation(method: str, path: str) -> tuple[str, dict]:
    """The described path and operation that a request is one of."""
    for wanted, pattern, described in operations():
        if wanted == method.lower() and pattern.fullmatch(path):
            return described, description()["paths"][described][wanted]
    raise AssertionError(f"GitHub describes no {method} {path}")


def hold(answer) -> str:
    """Fails unless the answer (httpx) is one GitHub describes; gives the operation's path."""
    url = urlsplit(str(answer.request.url))
    described, found = operation(answer.request.method, url.path)
    responses = found["responses"]
    assert str(answer.status_code) in responses, (
        f"{described} never answers {answer.status_code}: {answer.text}"
    )
    response = responses[str(answer.status_code)]
    if "$ref" in response:
        response = _at(response["$ref"])
    content = response.get("content", {}).get("application/json")
    if content and answer.status_code != 304:
        schema = content["schema"] | {"components": description()["components"]}
        errors = sorted(
            Draft202012Validator(schema).iter_errors(answer.json()), key=lambda e: list(e.path)
        )
        assert not errors, f"{described}: " + "; ".join(
            f"{list(e.path)}: {e.message[:300]} {[c.message[:200] for c in e.context or ()][:6]}"
            for e in errors[:5]
        )
    return f"{answer.request.method} {described}"


def _at(reference: str) -> dict:
    node = description()
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node
