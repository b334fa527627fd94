"""Each address has a name in its app's namespace, and nothing refers to one that is not there."""

import re
from pathlib import Path

from django.urls import get_resolver

ROOT = Path(__file__).parents[2]
IN_TEMPLATES = re.compile(r"""\{%\s*url\s+['"]([^'"]+)['"]""")
IN_CODE = re.compile(r"""\b(?:reverse|reverse_lazy|redirect)\(\s*['"]([^'"/]+)['"]""")


def named(resolver, before=""):
    """Every name that can be reversed, with its namespace."""
    space = f"{before}{resolver.namespace}:" if resolver.namespace else before
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from named(pattern, space)
        elif pattern.name:
            yield space + pattern.name


def test_every_address_that_is_referred_to_exists_and_has_a_namespace():
    known = set(named(get_resolver()))
    used = []
    for folder, ending, pattern in (
        ("templates", "html", IN_TEMPLATES),
        *((app, "py", IN_CODE) for app in ("portal", "environments", "releases")),
    ):
        for path in (ROOT / folder).rglob(f"*.{ending}"):
            used += [(path.relative_to(ROOT), name) for name in pattern.findall(path.read_text())]

    assert len(used) > 100
    assert not [(str(path), name) for path, name in used if name not in known or ":" not in name]
