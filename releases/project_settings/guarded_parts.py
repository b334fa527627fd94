"""Guarded configuration in tables of its own: database addresses, variable rules, deploy keys,
services, checklists, channels.
"""

from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from environments.drift import detect
from environments.git import host_keys
from environments.models import (
    ConnectionCheck,
    DeployKey,
    EnvironmentDatabase,
    Project,
    RailwaySync,
    Service,
    VariableRule,
)
from portal.configuration.kinds import Kind, Values
from portal.jobs import wake_now
from portal.models.configuration import ConfigurationChange
from portal.models.credentials import ServiceCredential
from releases.checklist.lines import line_of, write_lines
from releases.models import Channel
from releases.models.checklist import ChecklistTemplate
from releases.project_settings.guarded import alone_for, lapse


class Part[M: Model](Kind[M]):
    """What belongs to one project, or to every project."""

    def project(self, obj: M) -> Project | None:
        """Whose it is; None: every project's."""
        project: Project | None = getattr(obj, "project")  # noqa: B009 - every such model has it
        return project

    def alone(self, obj: M, actor: User) -> str:
        return alone_for(self.project(obj), actor)

    def applied(self, change: ConfigurationChange, obj: M, *, now: datetime) -> str:
        return lapse(self.project(obj), change, now=now)


class Credentials(Part[ServiceCredential]):
    """Credentials for GitHub and Railway. Of a new one people see only its kind."""

    permission = "portal.change_servicecredential"
    OF_AN_APP = ("app_id", "installation_id", "app_slug")

    def project(self, obj: ServiceCredential) -> Project | None:
        return Project.objects.filter(slug=obj.scope).first() if obj.scope else None

    def columns(self, obj: ServiceCredential) -> tuple[str, ...]:
        return ()

    def write(self, obj: ServiceCredential, values: Values, secrets: Mapping[str, str]) -> None:
        obj.secret, obj.kind = secrets.get("secret", ""), secrets.get("kind", obj.kind)
        for name in self.OF_AN_APP:
            setattr(obj, name, secrets.get(name, ""))
        obj.changed_at = timezone.now()
        obj.save(update_fields=["secret", "kind", "changed_at", *self.OF_AN_APP])


class Addresses(Part[EnvironmentDatabase]):
    """The address of a database in one environment."""

    permission = "environments.change_environmentdatabase"

    def project(self, obj: EnvironmentDatabase) -> Project | None:
        return obj.environment.project

    def columns(self, obj: EnvironmentDatabase) -> tuple[str, ...]:
        return ()

    def write(self, obj: EnvironmentDatabase, values: Values, secrets: Mapping[str, str]) -> None:
        obj.url = secrets.get("url", "")
        obj.save(update_fields=["url"])


class VariableRules(Part[VariableRule]):
    """What must hold for variables: a weaker rule lets a production variable be what it must
    not.
    """

    permission = "environments.change_variablerule"


class DeployKeys(Part[DeployKey]):
    """Deploy keys and pinned host keys: they decide which git server is trusted."""

    permission = "environments.change_deploykey"
    free = frozenset({"kind", "public_key", "fingerprint", "changed_at"})  # they go with the key
    new_too = True

    def read(self, obj: DeployKey) -> Values:
        return super().read(obj) | {
            "private_key": obj.fingerprint,
            "fingerprints": host_keys.fingerprints(obj.host_keys),
        }

    def write(self, obj: DeployKey, values: Values, secrets: Mapping[str, str]) -> None:
        super().write(obj, values, secrets)
        for name in secrets:
            setattr(obj, name, secrets[name])
        obj.save(update_fields=list(secrets))

    def applied(self, change: ConfigurationChange, obj: DeployKey, *, now: datetime) -> str:
        DeployKey.objects.filter(pk=obj.pk).update(changed_at=now)
        for check in ConnectionCheck.objects.all():
            wake_now(check, now=now)
        return super().applied(change, obj, now=now)


class Services(Part[Service]):
    """Whether releases wait for a service, as people decided."""

    permission = "environments.place_service"
    ANSWERS = {None: "by where it is built from", True: "yes", False: "no"}

    def columns(self, obj: Service) -> tuple[str, ...]:
        return ()  # the others are Railway's word

    def read(self, obj: Service) -> Values:
        return {"belongs": self.ANSWERS[obj.belongs]}

    def write(self, obj: Service, values: Values, secrets: Mapping[str, str]) -> None:
        answers = {words: answer for answer, words in self.ANSWERS.items()}
        Service.objects.filter(pk=obj.pk).update(belongs=answers[values["belongs"]])

    def applied(self, change: ConfigurationChange, obj: Service, *, now: datetime) -> str:
        # Findings are compared by one at a time.
        RailwaySync.objects.select_for_update().filter(project=obj.project_id).first()
        detect.compare(obj.project, now=now)
        return super().applied(change, obj, now=now)


class Checklists(Part[ChecklistTemplate]):
    """What a release must satisfy: the items that each new release copies."""

    permission = "releases.change_checklisttemplate"
    free = frozenset({"name"})
    new_too = True

    def read(self, obj: ChecklistTemplate) -> Values:
        lines = {f"item {line.pk}": line_of(line) for line in obj.items.all()}
        return super().read(obj) | lines

    def write(self, obj: ChecklistTemplate, values: Values, secrets: Mapping[str, str]) -> None:
        super().write(obj, values, secrets)
        write_lines(obj, values)


class Channels(Part[Channel]):
    """Notification channels of a team. A channel receives nothing until it is confirmed."""

    permission = "releases.manage_channels"

    def columns(self, obj: Channel) -> tuple[str, ...]:
        return ()

    def read(self, obj: Channel) -> Values:
        return {"kinds": list(obj.kinds)}

    def write(self, obj: Channel, values: Values, secrets: Mapping[str, str]) -> None:
        Channel.objects.filter(pk=obj.pk).update(kinds=values["kinds"])
