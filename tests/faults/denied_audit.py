"""Denies the audit event in three ways, tries everything people can do, and looks whether anything changed.

Run by `make faults`. Each action is tried on rows on which it succeeds (which is proven at the end of each try).
Ends with 1 when an action went through without its event, or changed anything.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.scratch import scratch_database

APPS = ("portal", "environments", "releases")
ROLE = "portal_without_audit"
DENIED = ("permission denied for function portal_audit_append", "lock timeout", "could not extend file")


@dataclass(frozen=True)
class Try:
    """One action with what it needs: `arrange` makes the rows and gives the call that succeeds on them."""

    name: str
    arrange: Callable[[Any], Callable[[], Any]]


def tries() -> list[Try]:
    """Every action of releases and environments, by the name of its function."""
    root = Path(__file__).resolve().parents[2]
    found = (path.relative_to(root) for app in APPS for path in (root / app).glob("*/*actions.py"))
    modules = (
        import_module(".".join(path.with_suffix("").parts)) for path in found if path != Path("portal/ui/actions.py")
    )
    return {
        name
        for module in modules
        for name, value in vars(module).items()
        if callable(value) and hasattr(value, "__wrapped__") and value.__module__ == module.__name__
    }


class Scene:
    """A project with an open release, cut by alice; dave may do everything."""

    def __init__(self) -> None:
        from django.utils import timezone

        from environments.models import Project
        from tests.factory import make_people, make_project, make_release

        self.now = timezone.now()
        people = make_people()
        self.alice, self.dave, self.carol = people["alice"], people["dave"], people["carol"]
        self.project = make_project(f"project-{Project.objects.count()}")
        self.release = make_release(self.project, by=people["alice"], ready=True)

    def stopped_at(self, name: str) -> None:
        """Lets a promotion have stopped at the step `name`."""
        from tests.factory import make_promotion

        make_promotion(self.release, by=self.dave, at=name, failed=True)
        self.release.refresh_from_db()


@contextmanager
def not_permitted() -> Iterator[None]:
    """The portal's role may do everything but append to the chain."""
    _run(
        f"drop role if exists {ROLE}",
        f"create role {ROLE}",
        f"grant all on all tables in schema public to {ROLE}",
        f"grant all on all sequences in schema public to {ROLE}",
        f"set role {ROLE}",
    )
    try:
        yield
    finally:
        _run("reset role", f"drop owned by {ROLE}", f"drop role {ROLE}")


@contextmanager
def head_taken() -> Iterator[None]:
    """Another session holds the head of the chain and does not let go."""
    import psycopg
    from django.db import connection

    values = connection.settings_dict
    where = {"host": values["HOST"], "port": values["PORT"], "user": values["USER"], "dbname": values["NAME"]}
    _run("alter function portal_audit_append set lock_timeout = '100ms'")
    with psycopg.connect(**where, password=values["PASSWORD"]) as other:
        other.execute("select 1 from portal_audithead for update")
        try:
            yield
        finally:
            other.rollback()
            _run("alter function portal_audit_append set lock_timeout = '3s'")


@contextmanager
def disk_full() -> Iterator[None]:
    """PostgreSQL cannot write one more event."""
    _run(
        "create function faults_full() returns trigger language plpgsql as"
        " $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$",
        "create trigger aaa before insert on portal_auditchain for each row execute function faults_full()",
    )
    try:
        yield
    finally:
        _run("drop trigger aaa on portal_auditchain", "drop function faults_full")


DENIALS = {"not permitted": not_permitted, "head taken": head_taken, "disk full": disk_full}


def _run(*statements: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def everything() -> str:
    """A digest of every row of every table of the portal, asked for at once."""
    from django.apps import apps
    from django.db import connection

    tables = sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)})
    rows = "coalesce(string_agg(one::text, chr(10) order by one::text), '')"
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        cursor.execute(" union all ".join(f"select '{table}', {rows} from \"{table}\" one" for table in tables))
        for table, content in sorted(cursor.fetchall()):
            digest.update(f"{table}\n{content}\n".encode())
    return digest.hexdigest()


def problem(act: Callable[[], Any], denial: Callable[[], Any], before: str) -> str:
    """What is wrong with `act` while its event is denied, "" when nothing; `before`: everything as it is now."""
    from django.db import DatabaseError

    with denial():
        try:
            act()
        except DatabaseError as error:
            if not any(word in str(error) for word in DENIED):
                return f"it was not the event that stopped it: {error!r}"
        except Exception as error:  # noqa: BLE001 - told
            return f"it was not the event that stopped it: {error!r}"
        else:
            return "it went through without its event"
    return "it changed something" if everything() != before else ""


def idle(act: Callable[[], Any], before: str) -> str:
    """What is wrong with `act` when its event is not denied: it must change something; nothing of it is kept."""
    from django.db import transaction

    from portal.ui.actions import Refused

    with transaction.atomic():
        try:
            act()
        except Refused:
            if everything() == before:
                return "it changes nothing anyway"
        transaction.set_rollback(True)
    return ""


def denied(one: Try) -> dict[str, str]:
    """Arranges the scene, tries with the event denied in each way, and says what is wrong."""
    act = one.arrange(Scene())
    before = everything()
    said = {}
    for denial, deny in DENIALS.items():
        said[denial] = problem(act, deny, before)
        if said[denial]:  # the scene may be spoilt
            act = one.arrange(Scene())
            before = everything()
    unmoved = idle(act, before)
    return {denial: what or unmoved for denial, what in said.items()}


def main() -> int:
    """Prints one line for each action and denial; 0 when every action was refused."""
    print("Actions while their audit event is denied")
    broken = 0
    with scratch_database():
        for one in tries():
            said = denied(one)
            broken += sum(map(bool, said.values()))
            print(f"  {one.name:18}", *(f"{denial}: {what or 'refused'}" for denial, what in said.items()), sep="  ")
    print(f"  {len(tries()) * len(DENIALS) - broken} of {len(tries()) * len(DENIALS)} refused, nothing changed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
