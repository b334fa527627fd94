"""Actions of the page Environments: whether a service is part of the release."""

from datetime import datetime

from django.contrib.auth.models import User

from environments.models import Service
from portal.configuration.actions import propose
from portal.configuration.kinds import kind_of
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import action


@action("configuration.proposed", "environments.place_service")
def place_service(
    service: Service, *, actor: User, belongs: bool | None, now: datetime | None = None
) -> ConfigurationChange | None:
    """Propose whether releases wait for `service`; None: as where it is built from says.

    Return None where that is so already.
    """
    service = Service.objects.select_for_update(of=("self",)).get(pk=service.pk)
    wanted = kind_of(service).read(Service(belongs=belongs))
    return propose(service, actor=actor, values=wanted, now=now)
