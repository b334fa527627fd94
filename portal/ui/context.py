"""What every page's template is given besides what its view gives it."""

from django.conf import settings
from django.http import HttpRequest


def sandbox(request: HttpRequest) -> dict[str, bool]:
    """Context processor: `sandbox`, whether this portal is one, in which nothing is real."""
    return {"sandbox": settings.SANDBOX}
