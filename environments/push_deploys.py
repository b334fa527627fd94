"""Whether a push to its branch deploys a service: Railway's switch, mirrored for staging and production."""

from environments.models import Project, ServiceInstance
from environments.railway import Railway
from portal.http import ApiError

REFUSED = ("unauthorized", "wrong_header", "forbidden", "not_found", "refused")


def read(project: Project, railway: Railway) -> None:
    """Asks about every service of the two long-lived environments that is built from GitHub: one call for each.

    What the token may not read is unknown from then on, never on. Raises `ApiError` when there is no answer.
    """
    rows = ServiceInstance.objects.filter(
        environment__project=project, environment__kind__in=["staging", "production"], environment__gone_at=None,
        service__gone_at=None,
    ).exclude(repository="").select_related("service", "environment")  # fmt: skip
    for row in rows:
        try:
            seen: bool | None = railway.push_deploys(
                project.railway_project_id, row.environment.railway_id, row.service.railway_id
            ).enabled
        except ApiError as error:
            if error.kind not in REFUSED:
                raise
            seen = None
        if seen != row.deploys_on_push:
            ServiceInstance.objects.filter(pk=row.pk).update(deploys_on_push=seen)
