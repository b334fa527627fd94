"""Where the address of a database comes from, and which addresses mean another machine here than
there.
"""

import pytest

from environments.databases import address as databases_address
from environments.databases.address import NoDatabase, url_of
from environments.models import EnvironmentDatabase, Service, ServiceInstance
from environments.schema.run.address import same_database
from portal.outbound.credentials import Secret
from portal.secrets import HiddenText
from tests.factory import make_project

PRIVATE = "postgresql://u:canary-77@postgres.railway.internal:5432/railway"
PUBLIC = "postgresql://u:canary-77@proxy.example.org:31234/railway"


class Variables:
    """What Railway says of each service, by its id; counts how often it was asked."""

    def __init__(self, **of: dict[str, str | None]) -> None:
        self.of, self.asked = of, list[str]()

    def variables(self, project, environment, service, *, unrendered):
        self.asked.append(service)
        return {
            name: None if value is None else Secret(value)
            for name, value in self.of[service.split("-")[-1]].items()
        }


@pytest.fixture
def place(db):
    project = make_project()
    found = EnvironmentDatabase.objects.get(environment__kind="production")
    found.environment.project = found.database.project = project
    postgres = Service.objects.create(
        project=project, name="Postgres", railway_id="inspector-Postgres"
    )
    ServiceInstance.objects.create(service=postgres, environment=found.environment, railway_id="p")
    return found


def test_the_database_s_own_public_address_comes_first_and_is_never_stored(place):
    railway = Variables(Postgres={"DATABASE_PUBLIC_URL": PUBLIC}, backend={"DATABASE_URL": PRIVATE})

    assert url_of(place, railway) == PUBLIC
    assert railway.asked == ["inspector-Postgres"]
    assert EnvironmentDatabase.objects.get(pk=place.pk).url == ""


@pytest.mark.parametrize(
    "postgres", [{}, {"DATABASE_PUBLIC_URL": ""}, {"DATABASE_PUBLIC_URL": None}]
)
def test_without_one_the_address_of_the_code_is_taken(place, postgres):
    railway = Variables(
        Postgres=postgres, backend={"DATABASE_URL": "postgresql://u:p@db.example.org/x"}
    )

    assert url_of(place, railway) == "postgresql://u:p@db.example.org/x"


def test_a_private_address_is_refused_with_the_three_ways_out_and_without_its_password(place):
    railway = Variables(Postgres={}, backend={"DATABASE_URL": PRIVATE})

    with pytest.raises(NoDatabase) as refused:
        url_of(place, railway)

    message = str(refused.value)
    assert message.startswith(
        "DATABASE_URL of backend is postgres.railway.internal, a name that only services of "
    )
    assert (
        "TCP proxy" in message
        and "run the portal inside production" in message
        and "let Railway run the migrations" in message
    )
    assert "canary" not in message


def test_a_private_address_given_by_a_person_is_no_better(place):
    place.url = HiddenText(PRIVATE)

    with pytest.raises(NoDatabase, match=r"The address given here is postgres\.railway\.internal"):
        url_of(place, Variables())


@pytest.mark.parametrize(
    ("project", "environment", "reaches"),
    [
        ("rp-inspector", "inspector-production", True),
        ("rp-inspector", "inspector-staging", False),
        ("another", "inspector-production", False),
        ("", "", False),
    ],
)
def test_only_a_portal_in_that_very_environment_reaches_it(
    place, monkeypatch, project, environment, reaches
):
    monkeypatch.setenv("RAILWAY_PROJECT_ID", project)
    monkeypatch.setenv("RAILWAY_ENVIRONMENT_ID", environment)
    railway = Variables(Postgres={}, backend={"DATABASE_URL": PRIVATE})

    if reaches:
        assert url_of(place, railway) == PRIVATE
    else:
        with pytest.raises(NoDatabase):
            url_of(place, railway)


def test_what_cannot_be_reached_stands_on_the_row(place, monkeypatch):
    railway = Variables(Postgres={}, backend={"DATABASE_URL": PRIVATE})

    databases_address.read_revisions(place, now=place.revisions_at, railway=railway)

    row = EnvironmentDatabase.objects.get(pk=place.pk)
    assert row.revisions is None and row.revisions_problem.startswith(
        "production: DATABASE_URL of backend is"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PUBLIC, PUBLIC.upper().replace("POSTGRESQL", "postgresql"), True),
        (PRIVATE, PRIVATE, False),
        (PRIVATE, PRIVATE.replace(".internal", ".INTERNAL"), False),
        (PUBLIC, PRIVATE, False),
    ],
)
def test_one_name_is_one_database_unless_the_name_is_private(one, other, same):
    assert same_database(one, other) == same
