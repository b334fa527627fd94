"""Denies the audit event while accounts and configuration are changed: every admin form, password
and command.

Run by `make faults`. Walks over every registered admin and every command there is, so that a new
one cannot be forgotten. Ends with 1 when anything was changed without its event.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import io
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command, get_commands, load_command_class
from django.db import transaction
from django.forms import MultiWidget
from django.test import Client
from django.test.utils import override_settings, setup_test_environment
from django.utils import timezone

from environments.models import (
    DeployKey,
    EnvironmentDatabase,
    Project,
    SmokeTest,
    VariableRule,
    place_of,
)
from portal.accounts import second_factor
from portal.models.audit import AuditEvent
from portal.modes import settle
from portal.ui.model_admin import AuditedAdmin, ReadOnly
from releases.models.checklist import ChecklistTemplate
from releases.models.freezes import Freeze
from tests.faults.denied_audit import DENIALS, Try, everything, problem

NEW_PASSWORD = "another good horse 27"
AT_NOON = {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}

# Per kind of row: how one is made, and what a form changes of it; an inline row is added with it
# where there are any.
ROWS: dict[Any, Callable[[Any], Any]] = {
    User: lambda scene: User.objects.create_user("erin", password=NEW_PASSWORD),
    Group: lambda scene: Group.objects.create(name="Guests"),
    Project: lambda scene: with_smoke_test(scene.project),
    EnvironmentDatabase: lambda scene: placed(scene),
    DeployKey: lambda scene: DeployKey.objects.create(
        project=scene.project, private_key="k", kind="ed25519", public_key="p", fingerprint="f"
    ),
    VariableRule: lambda scene: VariableRule.objects.create(
        project=scene.project, kind="present", service="backend", name="KEY"
    ),
    ChecklistTemplate: lambda scene: template_of(scene.project),
}
CHANGES: dict[Any, dict[str, Any]] = {
    User: {"first_name": "Erin", "groups": []},
    Group: {"name": "Visitors"},
    Project: {"soak_minutes": "7", "smoke_tests-0-path": "/changed"},
    EnvironmentDatabase: {"new_database_url": "postgresql://portal:hidden-word@db.internal/x"},
    DeployKey: {"make_key": "on"},
    VariableRule: {"name": "OTHER_KEY"},
    ChecklistTemplate: {"name": "Another list", "items-0-text": "Look twice"},
}
ADDED: dict[Any, Callable[[Any], dict[str, Any]]] = {
    User: lambda scene: {
        "username": "frank",
        "groups": [Group.objects.get(name="Auditors").pk],
        "usable_password": "true",
        **passwords("password1", "password2"),
    },
    Group: lambda scene: {"name": "Others"},
    Project: lambda scene: {
        "name": "second",
        "slug": "second",
        "repository": "acme/second",
        "railway_project_id": "p",
    },
    DeployKey: lambda scene: {"project": scene.project.pk, "make_key": "on"},
    VariableRule: lambda scene: {
        "project": scene.project.pk,
        "kind": "present",
        "service": "backend",
        "name": "THIRD",
    },
    ChecklistTemplate: lambda scene: {
        "name": "Third",
        "project": without_templates(scene.project).pk,
        "kind": "hotfix",
    },
}

# Commands that change no row of the portal's, or do it through actions and jobs, which record for
# themselves.
NO_EVENT = {
    "reads": (
        "axes_list_attempts check check_connections compilemessages dbshell diffsettings dumpdata"
        " findstatic git_remote_check inspectdb plan qinfo qmemory qmonitor revisions sendtestemail"
        " shell showmigrations sqlflush sqlmigrate sqlsequencereset verify_audit"
    ),
    "writes files": (
        "anchor_audit backup collectstatic makemessages makemigrations optimizemigration"
        " squashmigrations startapp startproject task_log"
    ),
    "the schema, or what has run out": "clearsessions createcachetable migrate",
    "another database": "fill_demo restore test testserver",
    "runs what records": (
        "connect_webhooks demo qcluster run runserver sandbox ship_demo sync_staging web worker"
    ),
    "refused by the chain": "flush",
}


def passwords(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, NEW_PASSWORD)


def placed(scene: Any) -> EnvironmentDatabase:
    return place_of(scene.project.environments.first(), scene.project.databases.first())


def with_smoke_test(project: Project) -> Project:
    SmokeTest.objects.get_or_create(project=project, service="backend", path="/health")
    return project


def template_of(project: Project) -> ChecklistTemplate:
    without_templates(project)
    template = ChecklistTemplate.objects.create(project=project, name="One list")
    template.items.create(position=10, text="Look")
    return template


def without_templates(project: Project) -> Project:
    ChecklistTemplate.objects.filter(
        project=project
    ).delete()  # a project has one of each kind from the start
    return project


def signed_in(scene: Any) -> Client:
    client = Client()
    client.force_login(scene.dave)
    return client


def address(row: Any, page: str) -> str:
    place = f"/admin/{row._meta.app_label}/{row._meta.model_name}/"
    return f"{place}{page}/" if isinstance(row, type) else f"{place}{quote(row.pk)}/{page}/"


def filled(page: Any) -> dict[str, Any]:
    """What the form of an admin page would send, with its inline rows, if nothing were typed."""
    rows = [one.formset for one in page.context["inline_admin_formsets"]]
    forms = [
        page.context["adminform"].form,
        *(form for row in rows for form in (row.management_form, *row)),
    ]
    sent: dict[str, Any] = {}
    for bound in (bound for form in forms for bound in form):
        value, name = bound.value(), bound.html_name
        if isinstance(bound.field.widget, MultiWidget):
            for number, part in enumerate(bound.field.widget.decompress(bound.initial)):
                sent[f"{name}_{number}"] = part or ""
        elif value is not None and value is not False:
            sent[name] = value
    return sent


def posting(client: Client, path: str, sent: dict[str, Any]) -> Callable[[], None]:
    """The call that posts, and fails unless it was answered with a redirect, as an accepted form
    is.
    """

    def post() -> None:
        answer = client.post(path, sent)
        if answer.status_code != 302:
            faults = [answer.context["adminform"].form.errors] if answer.context else []
            raise AssertionError(f"{path} answered {answer.status_code}: {faults}")

    return post


def adding(model: Any) -> Callable[[Any], Callable[[], None]]:
    def arrange(scene: Any) -> Callable[[], None]:
        client, path = signed_in(scene), address(model, "add")
        return posting(client, path, {**filled(client.get(path)), **ADDED[model](scene)})

    return arrange


def changing(model: Any) -> Callable[[Any], Callable[[], None]]:
    def arrange(scene: Any) -> Callable[[], None]:
        client, path = signed_in(scene), address(ROWS[model](scene), "change")
        return posting(client, path, {**filled(client.get(path)), **CHANGES[model]})

    return arrange


def deleting(model: Any) -> Callable[[Any], Callable[[], None]]:
    def arrange(scene: Any) -> Callable[[], None]:
        row = ROWS[model](scene)
        if model is Project:
            row = Project.objects.create(name="empty", slug="empty", repository="acme/empty")
        return posting(signed_in(scene), address(row, "delete"), {"post": "yes"})

    return arrange


def admin_tries() -> list[Try]:
    """Every form of every admin that changes anything."""
    found = []
    for model, one in admin.site._registry.items():
        if not isinstance(one, AuditedAdmin):
            continue
        name = model._meta.label
        if model in ADDED:
            found.append(Try(f"add {name}", adding(model)))
        found.append(Try(f"change {name}", changing(model)))
        # What is only mirrored, such as an environment, is neither added nor deleted, and accounts
        # have signed things.
        if model in ADDED and model is not User:
            found.append(Try(f"delete {name}", deleting(model)))
    return found


def freezing(scene: Any) -> Callable[[], None]:
    client, path = signed_in(scene), address(Freeze, "add")
    return posting(client, path, {"project": scene.project.pk, "reason": "fair"})


def lifting(scene: Any) -> Callable[[], None]:
    freeze = Freeze.objects.create(project=scene.project, reason="fair", started_by=scene.dave)
    sent = {"action": "lift", "_selected_action": [freeze.pk]}
    return posting(signed_in(scene), "/admin/releases/freeze/", sent)


def own_password(scene: Any) -> Callable[[], None]:
    from tests.factory import PASSWORD

    sent = {"old_password": PASSWORD, **passwords("new_password1", "new_password2")}
    return posting(signed_in(scene), "/admin/password_change/", sent)


def anothers_password(scene: Any) -> Callable[[], None]:
    sent = {"usable_password": "true", **passwords("password1", "password2")}
    return posting(signed_in(scene), address(scene.carol, "password"), sent)


def signing_in(scene: Any) -> Callable[[], None]:
    from tests.factory import PASSWORD

    return posting(Client(), "/admin/login/?next=/", {"username": "carol", "password": PASSWORD})


def command(
    name: str, *arguments: str, prepare: Callable[[Any], Any] | None = None, **options: Any
) -> Try:
    """`manage.py name`, quiet."""

    def arrange(scene: Any) -> Callable[[], None]:
        given = (prepare(scene) or ()) if prepare else ()
        made = load_command_class(get_commands()[name], name)
        if name == "changepassword":
            made._get_pass = lambda *prompt: NEW_PASSWORD

        def run() -> None:
            with (
                redirect_stdout(io.StringIO()),
                redirect_stderr(io.StringIO()),
                override_settings(SANDBOX=True),
            ):
                call_command(
                    made, *arguments, *given, stdout=io.StringIO(), stderr=io.StringIO(), **options
                )

        return run

    return Try(f"manage.py {name}", arrange)


def fixture(scene: Any) -> list[str]:
    path = Path(tempfile.mkdtemp()) / "roles.json"
    path.write_text(
        json.dumps([{"model": "auth.group", "pk": 900_001, "fields": {"name": "Loaded"}}])
    )
    return [str(path)]


def attempts(scene: Any) -> None:
    from axes.models import AccessAttempt, AccessFailureLog, AccessLog

    seen = {
        "username": "carol",
        "ip_address": "127.0.0.9",
        "user_agent": "x",
        "attempt_time": timezone.now(),
    }
    AccessAttempt.objects.create(**seen, failures_since_start=10)
    for model in (AccessFailureLog, AccessLog):
        row = model.objects.create(**seen)
        model.objects.filter(pk=row.pk).update(attempt_time="2020-01-01T00:00Z")


def with_secret(scene: Any) -> None:
    row = placed(scene)
    row.url = "postgresql://portal:hidden-word@db.internal/x"
    row.save(update_fields=["url"])


def with_second_factor(scene: Any) -> None:
    second_factor.begin(scene.carol)


def ready(scene: Any) -> list[str]:
    settle(sandbox=True)  # as the first start of the portal does
    message = {
        "repository": "acme/fresh",
        "project": "p",
        "alembic": "alembic.ini",
        "staging": "staging",
    }
    return ["--ready", json.dumps(message | {"production": "main"}), "--no-webhooks"]


def stale(scene: Any) -> None:
    ContentType.objects.get_or_create(app_label="portal", model="gone")


def command_tries() -> list[Try]:
    """Every command that writes rows."""
    reset = {name: command(name, prepare=attempts) for name in ("axes_reset", "axes_reset_logs")}
    reset["axes_reset_failure_logs"] = command("axes_reset_failure_logs", prepare=attempts)
    return [
        command("createsuperuser", username="gina", email="", interactive=False),
        command("changepassword", "carol"),
        command("loaddata", prepare=fixture),
        command("remove_stale_contenttypes", prepare=stale, interactive=False),
        command("remove_second_factor", "carol", prepare=with_second_factor, reason="phone lost"),
        command("rotate_encryption_keys", prepare=with_secret),
        command("seed_sandbox", prepare=ready),
        *reset.values(),
        command("axes_reset_ip", "127.0.0.9", prepare=attempts),
        command("axes_reset_username", "carol", prepare=attempts),
        command("axes_reset_ip_username", "127.0.0.9", "carol", prepare=attempts),
    ]


def tries() -> list[Try]:
    """All of it: forms, passwords, signing in, commands."""
    return [
        *admin_tries(),
        Try("freeze in the admin", freezing),
        Try("lift in the admin", lifting),
        Try("own password", own_password),
        Try("another's password", anothers_password),
        Try("signing in", signing_in),
        *command_tries(),
    ]


def forgotten() -> list[str]:
    """Admins that could change something and are not tried, and commands that nobody has looked
    at.
    """
    found = [
        model._meta.label
        for model, one in admin.site._registry.items()
        if (
            model not in CHANGES if isinstance(one, AuditedAdmin) else not isinstance(one, ReadOnly)
        )
    ]
    looked_at = {one.name.removeprefix("manage.py ") for one in command_tries()}
    looked_at |= {name for names in NO_EVENT.values() for name in names.split()}
    return found + sorted(set(get_commands()) - looked_at)


def unrecorded(act: Callable[[], Any], before: str) -> str:
    """What is wrong when nothing is denied: it must change something and say so; nothing of it
    is kept.
    """
    with transaction.atomic():
        known = AuditEvent.objects.count()
        act()
        events = list(AuditEvent.objects.all()[: AuditEvent.objects.count() - known])
        changed = everything() != before
        transaction.set_rollback(True)
    if not events:
        return "it made no event"
    if any("hidden-word" in event.data_json or NEW_PASSWORD in event.data_json for event in events):
        return "its event holds a secret"
    return "" if changed else "it changes nothing anyway"


def denied(one: Try, denials: dict[str, Any]) -> dict[str, str]:
    """Tries once for each denial on rows of its own, and says what is wrong."""
    from tests.faults.denied_audit import Scene

    message = {}
    for name, deny in denials.items():
        with transaction.atomic():
            act = one.arrange(Scene())
        before = everything()
        message[name] = problem(act, deny, before) or unrecorded(act, before)
        clear()
    return message


def clear() -> None:
    """Takes away what another try must not meet again: projects with all that hangs on them, and
    people.
    """
    from django.core.management.color import no_style
    from django.db import connection

    from tests.chain import start_over

    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    kept = {"django_content_type", "auth_permission", "django_migrations", "portal_audithead"}
    emptied = sorted(set(tables) - kept)
    with start_over(connection):
        for statement in connection.ops.sql_flush(no_style(), emptied):
            with connection.cursor() as cursor:
                cursor.execute(statement)


def main() -> int:
    """Prints one line for each try and denial; 0 when everything was refused and nothing
    forgotten.
    """
    print("Accounts and configuration while their audit event is denied")
    broken = 0
    logging.disable()  # each refusal would be told as an error of the server
    setup_test_environment()  # forms are looked into, and the host is called testserver
    with scratch_database():
        for one in tries():
            message = denied(one, DENIALS)
            broken += sum(map(bool, message.values()))
            print(
                f"  {one.name:36}",
                *(f"{denial}: {what or 'refused'}" for denial, what in message.items()),
                sep="  ",
            )
        missed = forgotten()
    count = len(tries()) * len(DENIALS)
    print(
        f"  {count - broken} of {count} refused, nothing changed; forgotten:"
        f" {', '.join(missed) or 'none'}"
    )
    return 1 if broken or missed else 0


if __name__ == "__main__":
    sys.exit(main())
