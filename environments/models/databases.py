"""The databases of a project, and where each of them is in every environment."""

from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Count, Q
from django.db.models.functions import Lower

from environments.models.environments import Environment
from environments.models.project import DeployOrder, Project
from portal.secrets import EncryptedTextField

NO_PASSWORD = RegexValidator(
    r"://[^/\s]*:[^/\s]*@",
    "Put no password into a command; name a variable that holds it.",
    inverse_match=True,
)


class Runner(models.TextChoices):
    """Who runs the migrations."""

    PORTAL = "portal", "the portal's own Alembic"
    COMMAND = "command", "the project's command, here"
    RAILWAY = "railway", "the project's command, as pre-deploy command on Railway"
    VERIFY = "verify", "Railway itself, while it deploys; the portal verifies"


ON_RAILWAY = (Runner.RAILWAY, Runner.VERIFY)


class Database(models.Model):
    """One Alembic directory of a project; each environment has a database of its own for it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="databases")
    name = models.CharField(
        max_length=60,
        default="main",
        help_text="Shown where the project has more than one database.",
    )
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Production's databases are migrated in this order."
    )
    alembic = models.CharField(
        "Alembic",
        max_length=300,
        blank=True,
        help_text=(
            "Path of alembic.ini or of the script directory in the repository. Empty: no longer"
            " migrated."
        ),
    )
    version_table = models.CharField(
        max_length=127,
        default="alembic_version",
        help_text="With its schema, if that is not the default: meta.alembic_version.",
    )
    runner = models.CharField(
        "Migrations are run by",
        max_length=20,
        choices=Runner,
        default=Runner.PORTAL,
        help_text=(
            "If Railway migrates, code comes first, because a deployment runs the migration. The"
            " portal reads the database before and after, so it needs an address that it can reach."
        ),
    )
    migration_command = models.CharField(
        max_length=500,
        validators=[NO_PASSWORD],
        blank=True,
        default="",
        help_text=(
            "The project's command, run by the shell at the repository's root: cd backend &&"
            " alembic upgrade head"
        ),
    )
    install_command = models.CharField(
        max_length=500,
        validators=[NO_PASSWORD],
        blank=True,
        default="",
        help_text=(
            "Run once per lock file in a new virtual environment: pip install -r"
            " backend/requirements.txt"
        ),
    )
    migration_variables = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        help_text=(
            "Other variables of the service that the command needs. Separate names with spaces."
        ),
    )
    service = models.CharField(
        max_length=100,
        default="backend",
        help_text="The service whose code uses the database. On Railway it runs the migrations.",
    )
    variable = models.CharField(
        max_length=100,
        default="DATABASE_URL",
        help_text="The service's variable that holds the address.",
    )
    public_service = models.CharField(
        max_length=100,
        blank=True,
        default="Postgres",
        help_text=(
            "The database's own service on Railway. Empty: the address is always read from the"
            " service above."
        ),
    )
    public_variable = models.CharField(
        max_length=100,
        default="DATABASE_PUBLIC_URL",
        help_text=(
            "That service's variable with the address of its TCP proxy, which can be reached from"
            " outside Railway."
        ),
    )

    class Meta:
        ordering = ["project", "position", "pk"]
        constraints = [
            models.UniqueConstraint(
                "project",
                Lower("name"),
                name="database_name_once",
                violation_error_message="Two databases of a project need two names.",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="database_has_a_name"),
            models.CheckConstraint(
                condition=~Q(runner__in=["command", "railway"]) | ~Q(migration_command=""),
                name="database_runner_has_command",
                violation_error_message="Enter the migration command.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def schema_order(self) -> str:
        """Which of code and schema is new first: a pre-deploy command precedes live code."""
        verify = self.runner == Runner.VERIFY
        return DeployOrder.MIGRATE_FIRST if verify else self.project.deploy_order

    @property
    def runs_project_code(self) -> bool:
        """Whether a run executes the project's `env.py`, which can import the whole repository."""
        return self.runner != Runner.PORTAL

    @property
    def out_of_order(self) -> str:
        """Why this runner cannot keep the project's order of deploy and migration; "" if it can."""
        if self.runner in ON_RAILWAY and self.project.deploy_order != DeployOrder.DEPLOY_FIRST:
            return "Railway migrates while it deploys, so let deploying come first."
        return ""

    @cached_property
    def called(self) -> str:
        """Return its name where the project has other databases to tell it from, else "".

        One query, once.
        """
        others = (
            Database.objects.filter(project=self.project_id).exclude(alembic="").exclude(pk=self.pk)
        )
        return self.name if others.exists() else ""

    def of(self, environment: object) -> str:
        """Return “production's database”, with its name where there are several."""
        return f"{environment}'s database{f' {self.called}' if self.called else ''}"


def databases_of(project: Project) -> list[Database]:
    """Return the databases that the portal migrates, in the order in which it does. One query."""
    databases = list(
        Database.objects.filter(project=project).exclude(alembic="").order_by("position", "pk")
    )
    for database in databases:
        database.project = project
        database.called = database.name if len(databases) > 1 else ""
    return databases


def with_several_databases() -> set[int]:
    """Return the projects whose databases are told apart by name. One query."""
    migrated = Database.objects.exclude(alembic="").order_by().values("project")
    return set(
        migrated.annotate(count=Count("pk")).filter(count__gt=1).values_list("project", flat=True)
    )


class EnvironmentDatabase(models.Model):
    """One database in one environment: an address given here, and what it last reported."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="databases")
    database = models.ForeignKey(Database, models.CASCADE, related_name="places")
    url = EncryptedTextField(
        blank=True,
        default="",
        help_text=(
            "Set it only if the address in Railway's variable cannot be reached from here. It is"
            " not shown again."
        ),
    )
    revisions = models.JSONField(
        null=True, blank=True, help_text="Revisions that the database reported. Null: not known."
    )
    tables = models.PositiveIntegerField(
        default=0, help_text="Number of its tables, if it reports no revision."
    )
    revisions_at = models.DateTimeField(null=True, blank=True)
    revisions_problem = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "database"], name="environment_database_once"
            )
        ]

    def __str__(self) -> str:
        return self.database.of(self.environment)


def place_of(environment: Environment, database: Database) -> EnvironmentDatabase:
    """Return the row of `database` in `environment`, made when it is missing."""
    place, _ = EnvironmentDatabase.objects.get_or_create(environment=environment, database=database)
    place.environment, place.database = environment, database
    return place


def places_of(
    environments: Iterable[Environment], databases: Iterable[Database]
) -> list[EnvironmentDatabase]:
    """Return every database in every environment, in that order; missing rows are made.

    Two queries at most.
    """
    environments, databases = list(environments), list(databases)
    wanted = [(environment, database) for environment in environments for database in databases]
    rows = EnvironmentDatabase.objects.filter(environment__in=environments, database__in=databases)
    known = by_place(rows)
    missing = [pair for pair in wanted if (pair[0].pk, pair[1].pk) not in known]
    if missing:
        new = [
            EnvironmentDatabase(environment=where, database=database) for where, database in missing
        ]
        EnvironmentDatabase.objects.bulk_create(new, ignore_conflicts=True)
        known = by_place(rows.all())
    places = []
    for environment, database in wanted:
        place = known[environment.pk, database.pk]
        place.environment, place.database = environment, database
        places.append(place)
    return places


class OfPlace(Protocol):
    """A row about one database in one environment."""

    environment_id: int
    database_id: int


def by_place[Row: OfPlace](rows: Iterable[Row]) -> dict[tuple[int, int], Row]:
    """Return rows by the keys of their environment and database."""
    return {(row.environment_id, row.database_id): row for row in rows}


def newest_of_place[Row: models.Model](rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
    """Return the newest of the rows about each database in each environment."""
    place = ("environment_id", "database_id")
    return rows.order_by(*place, "-pk").distinct(*place)
