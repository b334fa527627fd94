"""Which project a page is about: the one that the address names, or the first.

Come here for a page that extends `templates/project_page.html`, which shows the picker.
"""

from collections.abc import Sequence
from typing import Protocol

from django.http import HttpRequest


class HasSlug(Protocol):
    """A row that an address can name."""

    @property
    def slug(self) -> str: ...


def picked[P: HasSlug](request: HttpRequest, projects: Sequence[P]) -> P | None:
    """Return the project whose slug is `?project=`, else the first; None where there is none."""
    slug = request.GET.get("project", "")
    first = projects[0] if projects else None
    return next((project for project in projects if project.slug == slug), first)
