"""Every setting of every table: changed by two people, who lapse what was signed, or by one for a
reason that stands here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction

from environments.connections.actions import pin_host_keys
from environments.git_mirrors.clone import deploy_key_of
from environments.models import (
    ConnectionCheck,
    Database,
    DeployKey,
    EnvironmentDatabase,
    Project,
    Service,
    SmokeTest,
)
from environments.overview.actions import place_service
from portal.audit import row_changes
from portal.configuration import actions
from portal.configuration.kinds import kind_of
from portal.models.configuration import ConfigurationChange
from portal.ui.model_admin import AuditedAdmin
from releases.approvals import actions as approvals
from releases.checklist.items import template_of
from releases.models import Channel
from releases.models.approvals import Approval
from releases.models.checklist import ChecklistTemplate, ChecklistTemplateItem
from releases.models.releases import ReleaseKind
from releases.notifications.actions import add_channel, change_channel
from releases.project_settings.actions import change_settings
from tests.factory import make_people, make_project, make_promotion, make_release
from tests.faults.denied_configuration import ADDED, ROWS, address, filled

pytestmark = pytest.mark.django_db
HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

# Fields of the forms that one person changes, and why.
ONE_PERSON = {
    "auth.user": {
        "username first_name last_name email": "how a person is called; events name the account",
        "date_joined_0 date_joined_1 last_login_0 last_login_1": "nothing goes by it",
    },
    "environments.project": {
        "name": "how it is called",
        "deploy_minutes retention_hours": "when a person is asked, and what is said of an image",
        "statement_seconds lock_seconds": "when a migration is given up; neither lets one pass",
        "preview_limit preview_days": "how many previews there are, and for how long",
        "pull_comments": "whether a comment is written",
    },
    "releases.checklisttemplate": {"name": "how it is called"},
}
# Tables whose rows nobody configures, and why.
NO_CONFIGURATION = {
    "what the portal reads, computes and keeps": (
        "environments.branch environments.branchprotection environments.databasestatus"
        " environments.deployment environments.deploymentrequest environments.environment"
        " environments.railwayratelimit environments.railwaysync environments.databasesync"
        " environments.connectioncheck environments.credentialwatch"
        " environments.serviceinstance environments.stagedrevision"
        " environments.protectionsync environments.variablesync portal.auditwatch portal.heartbeat"
        " releases.branchscan releases.keptvariables releases.pullreading releases.stagingsmoke"
        " environments.variable environments.variablechange environments.migrationplan"
        " releases.pullrequest releases.githubsync releases.releasereconciler"
        " releases.rollbackassessment"
        " releases.notice releases.notificationfeed portal.auditevent portal.audithead"
        " portal.processreport portal.observation portal.incident portal.healthwatch"
        " portal.installation portal.webhookdelivery portal.setupcode portal.setupguess"
        " environments.withheldwrite environments.deploymentlog environments.runbookreading"
    ),
    "what people sign, ask for and write, each by an action that is in the trail": (
        "environments.finding environments.migrationrun environments.preview"
        " environments.projectproposal environments.stamp"
        " environments.rehearsal environments.repair environments.stagingreset"
        " releases.approval releases.checklistitem releases.downgrade releases.freeze"
        " releases.promotion releases.promotionstep releases.release releases.riskacceptance"
        " releases.pullrequestcomment releases.rollback releases.rollbackapproval"
        " releases.rollbackstep releases.tasklog"
    ),
    "two people change it, or who gives it is kept with it": (
        "portal.configurationchange portal.rolegrant portal.servicecredential portal.newgithubapp"
        " auth.permission"
    ),
    "a person's own proof of who they are": (
        "portal.authenticator portal.recoverycode portal.accesstoken"
    ),
    "goes to previews alone, where the code of pull requests runs": "environments.previewvariable",
}
PARTS = {Database: Project, SmokeTest: Project, ChecklistTemplateItem: ChecklistTemplate}


@pytest.fixture
def people():
    people = make_people()
    return people


@pytest.fixture
def release(people):
    """A release that bob approved, of a project in production."""
    project = make_project(required_approvals=1)
    make_promotion(make_release(project, by=people["alice"]), at="")
    project.releases.update(status="done")
    release = make_release(project, by=people["alice"], ready=True)
    approvals.approve(release, actor=people["bob"])
    release.dave, release.now = people["dave"], None
    return release


@pytest.fixture
def dave(client, people):
    """A superuser, whom no permission stops."""
    client.force_login(people["dave"])
    return client


@pytest.fixture(
    params=[model for model, one in admin.site._registry.items() if isinstance(one, AuditedAdmin)],
    ids=lambda model: model._meta.label,
)
def model(request):
    return request.param


def held(row: Any) -> dict[str, Any]:
    return row_changes.with_children(row, admin.site._registry[type(row)]._children())


def waiting() -> ConfigurationChange | None:
    return ConfigurationChange.objects.filter(state="waiting").first()


def approved() -> bool:
    return Approval.objects.filter(lapsed_at=None).exists()


def lapses(row: Any) -> bool:
    """Whether its changes concern a project, and not only who may do what."""
    return row._meta.app_label != "auth"


def bound_fields(page: Any) -> Iterator[Any]:
    sets = [one.formset for one in page.context["inline_admin_formsets"]]
    rows = [form for one in sets for form in one.initial_forms]
    for form in (page.context["adminform"].form, *rows):
        for bound in form:
            if not bound.field.disabled and not isinstance(bound.field.widget, forms.HiddenInput):
                yield bound


SPECIAL = {
    "git_url": "https://git.example/x.git",
    "email": "erin@example.com",
    "new_database_url": "postgresql://portal:word@db.example/x",
    "host_keys": f"ssh-ed25519 {HOST_KEY}",
    "required_checks": "another",
    "protected_checks": '["another"]',
    "make_key": "on",
    "databases-0-migration_command": "",
    "link": "/other",
}
TOGETHER = {  # what a field needs beside it to be a valid change
    "databases-0-runner": {"databases-0-migration_command": "make migrate"}
}
# Fields that are nothing by themselves, a database that ran migrations, which the form keeps, and
# shutting an account out, which one person may.
NOT_ALONE = {
    "databases-0-DELETE",
    "databases-0-migration_command",
    "new_key",
    "forget_database_url",
    "is_active",
    "user_permissions",
}


def other(bound: Any) -> Any:
    """Another value than the one that the field has, of its kind."""
    name, value, field = bound.html_name, bound.value(), bound.field
    if name in SPECIAL or bound.name in SPECIAL:
        return SPECIAL.get(name, SPECIAL.get(bound.name))
    if isinstance(field, forms.BooleanField):
        return "" if value else "on"
    if isinstance(field, forms.ModelMultipleChoiceField):
        return [field.queryset.exclude(pk__in=value or []).first().pk]
    if isinstance(field, forms.ChoiceField):
        return next(str(one) for one, _ in field.choices if one and str(one) != str(value))
    if isinstance(field, forms.IntegerField):
        return str(int(value or 0) + 1)
    return f"{value or 'other'}x"


def one_person(label: str) -> set[str]:
    return {name for names in ONE_PERSON.get(label, {}) for name in names.split()}


def tries(page: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for bound in bound_fields(page):
        name = bound.html_name
        if {name, bound.name} & NOT_ALONE:
            continue
        if isinstance(bound.field, forms.SplitDateTimeField):
            yield f"{name}_0", {f"{name}_0": "2020-01-02", f"{name}_1": "10:00:00"}
        elif bound.name == "DELETE":
            yield name, {name: "on"}
        else:
            yield name, {name: other(bound), **TOGETHER.get(name, {})}


@pytest.mark.slow
@pytest.mark.slow
def test_each_field_of_each_form_takes_two_people_and_lapses_approvals(
    model, dave, people, release
):
    row = ROWS[model](release)
    path = address(row, "change")
    page = dave.get(path)
    sent, free = filled(page), one_person(model._meta.label_lower)
    dave.post(path, sent)  # forms hold moments to the second
    before, wrong, seen = held(row), [], set()
    for name, changed in tries(page):
        seen.add(name)
        with transaction.atomic():
            dave.post(path, sent | changed)
            change = waiting()
            if name in free:
                fault = "waits" if change else "did nothing" if held(row) == before else ""
            elif held(row) != before or change is None:
                fault = "one person changed it" if held(row) != before else "nothing is proposed"
            else:
                fault = confirmed(row, change, before, people)
            transaction.set_rollback(True)
        wrong += [f"{name}: {fault}"] if fault else []
    assert not wrong and seen
    assert free <= {*seen, "date_joined_1", "last_login_1"}


def confirmed(row: Any, change: ConfigurationChange, before: dict, people: dict) -> str:
    """What is wrong after the second person's word."""
    actions.confirm_change(change, actor=people["bob"])
    if held(row) == before and not changed_secret(row):
        return "confirmed, and nothing changed"
    return "the approval counts on" if lapses(row) and approved() else ""


def changed_secret(row: Any) -> bool:
    return isinstance(row, EnvironmentDatabase)


def in_force(model: Any, project: Any) -> list[str]:
    """What decides now: a row that nobody has confirmed decides nothing."""
    if model is DeployKey:
        return [key.fingerprint for key in [deploy_key_of(project)] if key]
    return [line.text for line in template_of(project, ReleaseKind.HOTFIX).items.all()]


def test_what_is_added_decides_nothing_before_a_second_person_said_so(model, dave, people, release):
    if model not in (DeployKey, ChecklistTemplate):
        pytest.skip("adding one asks for more, or gives nobody anything")
    given = ADDED[model](release)
    before, path = in_force(model, release.project), address(model, "add")
    items = {
        "items-TOTAL_FORMS": "1",
        "items-0-text": "Nothing at all",
        "items-0-position": "1",
        "items-0-phase": "before",
        "items-0-condition": "always",
    }

    dave.post(path, filled(dave.get(path)) | given | items)

    added = model.objects.latest("pk")
    assert in_force(model, release.project) == before
    if model is DeployKey:
        actions.confirm_change(waiting(), actor=people["bob"])
        assert in_force(model, release.project) and not approved()
    else:
        assert added.items.count() == len(before) > 5


def test_what_asks_for_something_is_not_deleted_by_one_person(model, dave, release):
    row = ROWS[model](release)

    answer = dave.post(address(row, "delete"), {"post": "yes"})

    assert answer.status_code == 403 or (model is Group and not row.user_set.exists())


ACTS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {}


def act(read: Callable[[Any], Any]) -> Callable[[Callable], Callable]:
    def keep(function: Callable) -> Callable:
        ACTS[function.__name__] = (function, read)
        return function

    return keep


@act(lambda release: Service.objects.filter(belongs=False).exists())
def placing_a_service(release: Any, actor: Any) -> None:
    place_service(release.project.services.first(), actor=actor, belongs=False)


@act(lambda release: Project.objects.filter(soak_minutes=0).exists())
def a_guarded_field_on_the_page_of_settings(release: Any, actor: Any) -> None:
    change_settings(release.project, actor=actor, soak_minutes=0, name=release.project.name)


@act(lambda release: DeployKey.objects.get().host_keys)
def pinning_host_keys(release: Any, actor: Any) -> None:
    key = ROWS[DeployKey](release)
    found = [
        {"project": release.project.slug, "offers": [["ssh-ed25519", HOST_KEY, "SHA256:x", ""]]}
    ]
    ConnectionCheck.objects.update_or_create(single=True, defaults={"found": found})
    pin_host_keys(key, actor=actor, fingerprints=["SHA256:x"])


@act(lambda release: [one.kinds for one in Channel.objects.all() if one.kinds])
def adding_a_channel_of_a_team(release: Any, actor: Any) -> None:
    add_channel(
        None,
        actor=actor,
        name="x",
        transport="webhook",
        address="https://evil.example/x",
        kinds=["health"],
        personal=False,
    )


@act(lambda release: [one.kinds for one in Channel.objects.all()])
def telling_a_channel_of_a_team_more(release: Any, actor: Any) -> None:
    row = Channel.objects.create(
        name="x",
        transport="slack",
        address="a",
        place="a",
        kinds=["health"],
        project=release.project,
    )
    release.honest = [["health"]]
    change_channel(row, actor=actor, kinds=["health", "failed"])


@pytest.mark.parametrize("name", list(ACTS))
def test_each_action_that_configures_takes_two_people_and_lapses_approvals(name, release, people):
    do, read = ACTS[name]
    do(release, people["dave"])

    assert read(release) in (False, "", [], getattr(release, "honest", [])) and approved()
    actions.confirm_change(waiting(), actor=people["bob"])
    assert read(release) not in (False, "", [], getattr(release, "honest", [])) and not approved()


def test_each_table_is_configured_by_two_people_or_said_not_to_be():
    said = {label for labels in NO_CONFIGURATION.values() for label in labels.split()}
    ours = [
        one
        for one in apps.get_models()
        if one._meta.app_label in ("portal", "environments", "releases", "auth")
    ]
    found = {one._meta.label_lower for one in ours if one not in PARTS and not is_kind(one)}

    assert found <= said <= {one._meta.label_lower for one in ours}


def is_kind(model: Any) -> bool:
    try:
        return bool(kind_of(model))
    except KeyError:
        return False
