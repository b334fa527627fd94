"""What staging's smoke tests answered, and for what: a candidate, the deployments that serve it,
and its database.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject

from environments.models import SmokeTest
from portal.outbound.parsing import JsonObject


@dataclass(frozen=True)
class AskedTest:
    """One request that staging must answer as expected."""

    pk: int
    service: str
    path: str
    expected_status: int
    expects_commit: bool


def tests(project: str) -> ArraySubquery:
    """Return the annotation for `tests_of`; `project` names the field that leads there."""
    rows = SmokeTest.objects.filter(project=OuterRef(project), on_staging=True).order_by(
        "service", "path"
    )
    names = ("pk", "service", "path", "expected_status", "expects_commit")
    return ArraySubquery(rows.values(row=JSONObject(**{name: name for name in names})))


def tests_of(rows: Iterable[JsonObject]) -> tuple[AskedTest, ...]:
    """Return the tests of staging as `tests` read them."""
    return tuple(AskedTest(**row) for row in rows)


def about(
    candidate: str, deployments: Iterable[str], run: int | None, tests: Iterable[AskedTest]
) -> str:
    """Return a digest of what an answer holds for: it lapses when any of these changes.

    `deployments` are those of staging that serve, `run` the newest migration of staging that
    succeeded.
    """
    message = repr((candidate, sorted(deployments), run, list(tests)))
    return sha256(message.encode()).hexdigest()
