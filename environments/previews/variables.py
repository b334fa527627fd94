"""The variables of a preview, settled before its first deployment: addresses, overrides, and
what is sealed.
"""

import re
from collections.abc import Mapping
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
from environments.previews.place import Seen
from environments.railway import Environment as Place
from environments.railway import ServiceInstance
from environments.variables.fingerprints import fingerprint, host_of
from portal.jobs import Outcome, Requeue, holds
from portal.outbound.credentials import Secret
from portal.secrets import HiddenText

_HOST = re.compile(r"^((?:[a-z][a-z0-9+.-]*://)?)[^/?#]+", re.IGNORECASE)


def settle(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Return None when the variables are right; else write one service's, or asks a person for what
    is sealed.
    """
    if job.variables_at is not None:
        return None
    staging = Environment.objects.present().of_kind(job.project, EnvironmentKind.STAGING)
    if staging is None or staging.variables_at is None:
        return Requeue(5, "Staging's variables have not been read yet.")
    missing: list[str] = []
    shared: list[str] = []
    for instance in place.instances:
        where = (job.project.railway_project_id, place.id, instance.service_id)
        found = seen.railway.variables(*where, unrendered=True)
        if wrong := _wrong(job, instance, found):
            if not holds(job):
                return Requeue(0)
            seen.railway.set_variables(*where, wrong)
            return Requeue(0, f"Variables of {instance.service_name} were set.")
        for row in Variable.objects.filter(
            environment=staging, service__railway_id=instance.service_id
        ):
            if row.sealed and row.name not in found:
                missing.append(f"{instance.service_name}: {row.name}")
            if _is_stagings(job, instance, row, found):
                shared.append(f"{instance.service_name}: {row.name}")
    job.keep(missing=missing, shared=shared)
    if missing:
        job.keep(state=PreviewState.ASKING)
        message = (
            f"Sealed variables are not copied. Set a value of {', '.join(missing)} for previews."
        )
        return Requeue(60, message)
    job.keep(variables_at=now)
    return None


def _wrong(
    job: Preview, instance: ServiceInstance, found: Mapping[str, Secret | None]
) -> dict[str, str]:
    """Return what the service's variables must be and are not."""
    wanted = _addresses(job, instance, found) | _overrides(job, instance)
    return {name: value for name, value in wanted.items() if _revealed(found.get(name)) != value}


def _overrides(job: Preview, instance: ServiceInstance) -> dict[str, str]:
    rows = PreviewVariable.objects.filter(project=job.project)
    return {
        row.name: cast(HiddenText, row.value).reveal()
        for row in rows
        if fnmatchcase(instance.service_name, row.service)
    }


def _addresses(
    job: Preview, instance: ServiceInstance, found: Mapping[str, Secret | None]
) -> dict[str, str]:
    """Addresses written out in staging lead to staging: here they refer to the service in the
    same environment.
    """
    wanted: dict[str, str] = {}
    for rule in VariableRule.objects.filter(project=job.project, kind=RuleKind.ADDRESS):
        if not fnmatchcase(instance.service_name, rule.service):
            continue
        for name in found:
            value = _revealed(found[name])
            if fnmatchcase(name, rule.name) and value and host_of(value)[0]:
                reference = "${{" + rule.target + ".RAILWAY_PUBLIC_DOMAIN}}"
                if not host_of(value)[0].endswith(".railway.internal"):
                    wanted[name] = _HOST.sub(
                        lambda match, host=reference: match[1] + host,  # type: ignore[misc]
                        value,
                        count=1,
                    )
    return wanted


def _is_stagings(
    job: Preview, instance: ServiceInstance, row: Variable, found: Mapping[str, Secret | None]
) -> bool:
    """Return whether a variable that must be separate has staging's own value here, and is no
    reference.
    """
    rules = VariableRule.objects.filter(project=job.project, kind=RuleKind.SEPARATE)
    bound = any(
        fnmatchcase(instance.service_name, rule.service) and fnmatchcase(row.name, rule.name)
        for rule in rules
    )
    value = _revealed(found.get(row.name))
    return bool(bound and value and not row.references and row.fingerprint == fingerprint(value))


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
