"""Taking over the new name of a repository, and what follows from it."""

from datetime import datetime

from django.contrib.auth.models import User

from environments.models import Project, RailwaySync, ServiceInstance
from portal.configuration.actions import propose
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import Refused, action


@action("configuration.proposed", "environments.change_project")
def use_new_name(
    project: Project, *, actor: User, name: str, now: datetime | None = None
) -> ConfigurationChange | None:
    """Propose that the project's repository is what GitHub calls it now: `name`, as the person
    saw it.
    """
    project = Project.objects.select_for_update().get(pk=project.pk)
    if not project.renamed_to:
        raise Refused(f"GitHub calls the repository {project.repository}, as the project does.")
    if name != project.renamed_to:
        raise Refused(
            f"The repository is now called {project.renamed_to}. Reload the page before you take "
            "that over."
        )
    return propose(project, actor=actor, values={"repository": project.renamed_to}, now=now)


def took_over(project: Project, old: str, *, now: datetime) -> None:
    """Keep `old` as a former name of the project's repository, for Railway may go on calling it so.

    Call it after the project's repository was set. Another repository is no new name: then nothing
    of the old counts.
    """
    if project.renamed_to.lower() != project.repository.lower():
        former: list[str] = []
    else:
        former = [
            *(name for name in project.former_names if name.lower() != project.repository.lower()),
            old,
        ]
    Project.objects.filter(pk=project.pk).update(former_names=former, renamed_to="")
    if former:
        rows = ServiceInstance.objects.filter(environment__project=project, repository__iexact=old)
        rows.update(repository=project.repository)
    RailwaySync.objects.filter(project=project, wake_at__gt=now).update(wake_at=now)
