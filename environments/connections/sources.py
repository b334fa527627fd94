"""Where the credentials come from that the projects use: pasted here, or environment variables."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from environments.models import Project
from portal.credentials import stored
from portal.models.credentials import ServiceCredential


@dataclass(frozen=True)
class Source:
    """One credential and the projects for which it counts; `row` None: the environment's."""

    service: str
    row: ServiceCredential | None
    projects: tuple[Project, ...]

    @property
    def name(self) -> str:
        """What the page calls it; the environment's has the variable's name."""
        if self.row is None:
            return _github_variable() if self.service == stored.GITHUB else _railway_variable()
        whose = f" of {self.projects[0].name}" if self.row.scope else ""
        what = "App" if self.row.kind == ServiceCredential.Kind.APP else "token"
        return f"{self.row.get_service_display()} {what}{whose}"


def sources(service: str, projects: Sequence[Project]) -> list[Source]:
    """Return the credentials that count for any of the projects, the portal's own first.

    One query for each project, and one.
    """
    general = stored.effective(service)
    groups: dict[int | None, tuple[ServiceCredential | None, list[Project]]] = {
        general.pk if general else None: (general, [])
    }
    for project in projects:
        row = stored.effective(service, project.slug)
        groups.setdefault(row.pk if row else None, (row, []))[1].append(project)
    all_sources = [Source(service, row, tuple(used)) for row, used in groups.values()]
    needed = [source for source in all_sources if source.row is not None or source.projects]
    return needed or all_sources


def _github_variable() -> str:
    app = (
        settings.GITHUB_APP_ID,
        settings.GITHUB_APP_PRIVATE_KEY,
        settings.GITHUB_APP_INSTALLATION_ID,
    )
    return "GITHUB_TOKEN" if settings.GITHUB_TOKEN or not any(app) else "GITHUB_APP_ID"


def _railway_variable() -> str:
    is_projects = not settings.RAILWAY_API_TOKEN and bool(settings.RAILWAY_TOKEN)
    return "RAILWAY_TOKEN" if is_projects else "RAILWAY_API_TOKEN"
