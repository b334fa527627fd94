"""What became of the variables since the last release, by the fingerprints kept with it."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import JSONField
from django.db.models.expressions import RawSQL
from django.utils.dateparse import parse_datetime

from environments.models import LONG_LIVED, Environment, Variable
from environments.variables.fingerprints import fingerprint
from portal.outbound.parsing import JsonObject
from releases.models.reconciler import KeptVariables, ReleaseReconciler
from releases.models.releases import Release

MOST_LINES = 100
# For a row of releases: the snapshot of the last release that was merged, beside this one's own or
# beside what is there now. It answers only with differences.
_DRIFT = """(
with was_kept as (
  select k.*, r.name as release from releases_keptvariables k join releases_release r on r.id =
  k.release_id
  where r.project_id = releases_release.project_id and r.id < releases_release.id and
  r.merge_commit <> ''
  order by r.id desc limit 1
), own as (
  select * from releases_keptvariables where release_id = releases_release.id and
  releases_release.merge_commit <> ''
), known as (
  select jsonb_array_elements_text(read) as kind from own
  union all
  select kind from environments_environment
  where not exists (select from own)
    and project_id = releases_release.project_id and gone_at is null and variables_at is not null
), was as (
  select r.* from was_kept, jsonb_to_recordset(was_kept.rows) as r(kind text, service text, name
  text, mark text)
), is_now as (
  select r.* from own, jsonb_to_recordset(own.rows) as r(kind text, service text, name text, mark
  text)
  union all
  select e.kind, coalesce(s.name, ''), v.name, case when v.sealed then 'sealed' else v.fingerprint
  end
  from environments_variable v
  join environments_environment e on e.id = v.environment_id
  left join environments_service s on s.id = v.service_id
  where not exists (select from own)
    and e.project_id = releases_release.project_id and e.kind in ('production', 'staging') and
    e.gone_at is null
), differing as (
  select kind, service, name, was.mark as before, is_now.mark as after
  from was full join is_now using (kind, service, name)
  where was.mark is distinct from is_now.mark and kind in (select kind from known)
    and kind in (select jsonb_array_elements_text(read) from was_kept)
  order by kind, service, name limit %s
)
select jsonb_build_object('since', release, 'key', key, 'at', at, 'lines', (
  select coalesce(jsonb_agg(jsonb_build_array(kind, service, name, before is null, after is null)
    order by kind, service, name), '[]') from differing))
from was_kept)
"""


@dataclass(frozen=True)
class VariableDiff:
    """One variable that is not what it was. `change`: added, removed or changed."""

    kind: str
    service: str
    name: str
    change: str


@dataclass(frozen=True)
class Drift:
    """`since`: the release that is compared with, "" where none kept its variables; `problem`:
    why nothing is told.
    """

    since: str = ""
    at: datetime | None = None
    lines: tuple[VariableDiff, ...] = ()
    more: bool = False
    problem: str = ""


def keep(release: Release, *, now: datetime) -> None:
    """Keep the names and fingerprints of production's and staging's variables with the release.

    Three queries.
    """
    environments = Environment.objects.filter(
        project=release.project_id, kind__in=LONG_LIVED, gone_at=None, variables_at__isnull=False
    )
    read = sorted(environments.values_list("kind", flat=True))
    variables = Variable.objects.filter(environment__in=environments).values_list(
        "environment__kind", "service__name", "name", "sealed", "fingerprint"
    )
    rows = [
        {"kind": kind, "service": service or "", "name": name, "mark": "sealed" if sealed else mark}
        for kind, service, name, sealed, mark in variables
    ]
    kept = {"at": now, "key": _key(), "read": read, "rows": rows}
    KeptVariables.objects.update_or_create(release=release, defaults=kept)


def compare(reconciler: ReleaseReconciler) -> None:
    """Keep with the release what changed since the last one that reached production.

    One query, two on a change.
    """
    drift = RawSQL(_DRIFT, [MOST_LINES + 1], output_field=JSONField())  # noqa: S611  (nothing in it is from outside)
    rows = Release.objects.filter(pk=reconciler.release_id).annotate(drift=drift)
    stored = rows.values_list("drift", flat=True).get()
    if stored != reconciler.drift:
        ReleaseReconciler.objects.filter(pk=reconciler.pk).update(drift=stored)


def drift(stored: JsonObject | None) -> Drift:
    """Return what `compare` kept, in words."""
    if not stored:
        return Drift()
    since, at = stored["since"], parse_datetime(stored["at"])
    if stored["key"] != _key():
        why = "SECRET_KEY was changed since then, so the fingerprints cannot be compared."
        return Drift(since, at, problem=why)
    lines = [
        VariableDiff(kind, service, name, "added" if new else "removed" if gone else "changed")
        for kind, service, name, new, gone in stored["lines"]
    ]
    return Drift(since, at, tuple(lines[:MOST_LINES]), len(lines) > MOST_LINES)


def _key() -> str:
    """Name the key of the fingerprints without telling it."""
    return fingerprint("which key is this?")[:16]
