"""The variables of a preview before its first deployment: addresses, overrides, sealed ones."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import cast

from environments.models import (
    Environment,
    EnvironmentKind,
    Preview,
    PreviewState,
    PreviewVariable,
    RuleKind,
    Variable,
    VariableRule,
)
from environments.previews.on_railway import Seen
from environments.railway import Environment as Place
from environments.railway import ServiceInstance
from environments.variables.fingerprints import PRIVATE_ENDING, fingerprint, host_of
from portal.jobs import Outcome, Requeue, holds
from portal.outbound.credentials import Secret
from portal.secrets import HiddenText

_HOST = re.compile(r"^((?:[a-z][a-z0-9+.-]*://)?)[^/?#]+", re.IGNORECASE)


def settle(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Return None when the variables are right; else write one service's, or ask a person."""
    if job.variables_at is not None:
        return None
    staging = Environment.objects.present().of_kind(job.project, EnvironmentKind.STAGING)
    if staging is None or staging.variables_at is None:
        return Requeue(5, "Staging's variables have not been read yet.")
    missing: list[str] = []
    shared: list[str] = []
    for instance in place.instances:
        where = (job.project.railway_project_id, place.id, instance.service_id)
        values = seen.railway.variables(*where, unrendered=True)
        if wrong := _wrong(job, instance, values):
            if not holds(job):
                return Requeue(0)
            seen.railway.set_variables(*where, wrong)
            return Requeue(0, f"Variables of {instance.service_name} were set.")
        separate = _rules(job, RuleKind.SEPARATE, instance)
        rows = Variable.objects.filter(environment=staging)
        for row in rows.filter(service__railway_id=instance.service_id):
            if row.sealed and row.name not in values:
                missing.append(f"{instance.service_name}: {row.name}")
            if _is_stagings(row, separate, values):
                shared.append(f"{instance.service_name}: {row.name}")
    job.keep(missing=missing, shared=shared)
    if missing:
        job.keep(state=PreviewState.ASKING)
        wanted = f"Set a value of {', '.join(missing)} for previews."
        return Requeue(60, f"Sealed variables are not copied. {wanted}")
    job.keep(variables_at=now)
    return None


def _rules(job: Preview, kind: RuleKind, instance: ServiceInstance) -> list[VariableRule]:
    """Return the project's rules of this kind for the variables of a service."""
    rules = VariableRule.objects.filter(project=job.project, kind=kind)
    return [rule for rule in rules if fnmatchcase(instance.service_name, rule.service)]


def _wrong(
    job: Preview, instance: ServiceInstance, values: Mapping[str, Secret | None]
) -> dict[str, str]:
    """Return what the service's variables must be and are not."""
    wanted = _addresses(job, instance, values)
    for row in PreviewVariable.objects.filter(project=job.project):
        if fnmatchcase(instance.service_name, row.service):
            wanted[row.name] = cast(HiddenText, row.value).reveal()
    return {name: value for name, value in wanted.items() if _revealed(values.get(name)) != value}


def _addresses(
    job: Preview, instance: ServiceInstance, values: Mapping[str, Secret | None]
) -> dict[str, str]:
    """Return addresses for those written out in staging, which lead to staging: here they refer to
    the service in the same environment.
    """
    wanted: dict[str, str] = {}
    for rule in _rules(job, RuleKind.ADDRESS, instance):
        for name in values:
            value = _revealed(values[name]) or ""
            host = host_of(value)[0] if fnmatchcase(name, rule.name) else ""
            written = _HOST.match(value)
            if host and written and not host.endswith(PRIVATE_ENDING):
                reference = "${{" + rule.target + ".RAILWAY_PUBLIC_DOMAIN}}"
                wanted[name] = f"{written[1]}{reference}{value[written.end() :]}"
    return wanted


def _is_stagings(
    row: Variable, rules: Sequence[VariableRule], values: Mapping[str, Secret | None]
) -> bool:
    """Return whether a variable that `rules` want separate has staging's own value here."""
    bound = any(fnmatchcase(row.name, rule.name) for rule in rules)
    value = _revealed(values.get(row.name))
    return bool(bound and value and not row.references and row.fingerprint == fingerprint(value))


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
