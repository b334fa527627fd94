"""A person's word on whether a service is part of the release."""

from datetime import datetime

from django.utils import timezone

from environments.drift import detect
from environments.models import RailwaySync, Service
from portal import audit
from portal.audit import Actor
from portal.ui.actions import action


@action("service.placed", "environments.place_service")
def place_service(
    service: Service, *, actor: Actor, belongs: bool | None, now: datetime | None = None
) -> None:
    """Says whether releases wait for `service`; None: as where it is built from says."""
    now = now or timezone.now()
    RailwaySync.objects.select_for_update().get(
        project=service.project_id
    )  # findings are compared by one at a time
    before = Service.objects.values_list("belongs", flat=True).get(pk=service.pk)
    Service.objects.filter(pk=service.pk).update(belongs=belongs)
    what = {True: "is part of the release", False: "does not belong to the release"}
    message = (
        f"{service} {what[belongs]}."
        if belongs is not None
        else f"{service} belongs by where it is built from."
    )
    data = {"before": before, "after": belongs}
    audit.record(
        "service.placed", actor=actor, subject=service, sentence=message, data=data, now=now
    )
    detect.compare(service.project, now=now)
