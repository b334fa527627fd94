"""Addresses of Railway's own pages, which people open to read a log there."""

from urllib.parse import quote, urlencode

from django.conf import settings


def deployment_page(project: str, service: str, environment: str, deployment: str) -> str:
    """Return the address of a deployment with its build and deploy log; all are Railway's ids.

    Return "" where Railway's pages or the project are not known.
    """
    if not (settings.RAILWAY_DASHBOARD_URL and project and service and deployment):
        return ""
    place = f"/project/{quote(project, safe='')}/service/{quote(service, safe='')}"
    query = urlencode({"environmentId": environment, "id": deployment})
    return f"{settings.RAILWAY_DASHBOARD_URL}{place}?{query}"
