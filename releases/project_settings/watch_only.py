"""The *watch only* switch: one person may turn it on; turning it off is guarded."""

from datetime import datetime

from django.contrib.auth.models import User

from environments.models import Project
from portal import audit
from portal.audit import Actor
from portal.configuration import actions as configuration
from portal.jobs import wake_now
from portal.ui.actions import Refused, action
from releases.models.promotion import Promotion
from releases.models.reconciler import ReleaseReconciler


@action("project.watched_only", "environments.change_project")
def watch_only(project: Project, *, actor: Actor, now: datetime | None = None) -> None:
    """Send nothing for this project any more, from the next write on. One person is enough."""
    if not Project.objects.filter(pk=project.pk, watch_only=False).update(watch_only=True):
        raise Refused(f"{project} is only watched already.")
    sentence = f"{project} is only watched: nothing is sent to GitHub, Railway or its databases."
    audit.record("project.watched_only", actor=actor, subject=project, sentence=sentence, now=now)


@action("project.sending", "environments.change_project")
def start_sending(project: Project, *, actor: User, now: datetime | None = None) -> None:
    """Propose that the portal acts again; it takes effect at once where one person is enough."""
    fresh = Project.objects.select_for_update().get(pk=project.pk)
    if not fresh.watch_only:
        raise Refused(f"{project} is not only watched.")
    configuration.propose(fresh, actor=actor, values={"watch_only": False}, now=now)


def resume(project: Project, *, now: datetime) -> None:
    """Have everything that was held back looked at again at once."""
    ReleaseReconciler.objects.filter(release__project=project).update(
        verdict_tries=0, verdict_retry_at=None, verdict_problem=""
    )
    for job in [
        *ReleaseReconciler.objects.open().filter(release__project=project),
        *Promotion.objects.open().filter(release__project=project),
    ]:
        wake_now(job, now=now)
