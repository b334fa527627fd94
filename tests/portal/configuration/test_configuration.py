"""Configuration by two people: proposed, confirmed by somebody else, never given to oneself;
signatures that count.
"""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.models import DeployKey, Environment, Project, SmokeTest, VariableRule, place_of
from portal.configuration import actions, signing
from portal.models.audit import AuditEvent
from portal.models.configuration import ConfigurationChange, RoleGrant
from portal.ui.actions import NotPermitted, Refused
from releases import gates
from releases.approvals import actions as release_actions
from releases.gates.context import facts_of
from releases.models.approvals import Approval, RiskAcceptance
from releases.project_settings import guarded as project_settings_guarded
from tests.factory import PASSWORD, make_people, make_project, make_promotion, make_release
from tests.faults.denied_configuration import address, filled
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
APPROVE = "releases.approve_release"
HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.fixture
def people():
    people = make_people()
    people["erin"] = User.objects.create_user("erin", password=PASSWORD, is_staff=True)
    people["erin"].groups.set(Group.objects.filter(name="Administrators"))
    return people


@pytest.fixture
def project(people):
    """A project that is in production, and so is changed by two people."""
    project = make_project()
    make_promotion(make_release(project, by=people["alice"]), at="")
    project.releases.update(status="done")
    return project


@pytest.fixture
def erin(people, client):
    client.force_login(people["erin"])
    return client


def send(client, row, **changed):
    path = address(row, "change")
    return client.post(path, {**filled(client.get(path)), **changed}, follow=True)


def waiting() -> ConfigurationChange:
    return ConfigurationChange.objects.get(state="waiting")


def confirm(people, name="bob") -> ConfigurationChange:
    return actions.confirm_change(waiting(), actor=User.objects.get(pk=people[name].pk))


def test_a_guarded_field_waits_and_a_free_one_is_saved_at_once(erin, people, project):
    commanded = {"databases-0-migration_command": "make migrate", "databases-0-runner": "command"}
    page = send(erin, project, preview_days="9", **commanded)

    project.refresh_from_db()
    database = project.databases.get()
    change = waiting()
    assert (database.runner, database.migration_command, project.preview_days) == ("portal", "", 9)
    assert change.values["database main: runner"] == {"from": "portal", "to": "command"}
    assert "Not changed yet" in squeezed(page) and "make migrate" in squeezed(page)

    confirm(people)

    database.refresh_from_db()
    change.refresh_from_db()
    event = AuditEvent.objects.get(action="configuration.confirmed")
    assert (database.runner, database.migration_command) == ("command", "make migrate")
    assert (change.proposed_by, change.decided_by) == (people["erin"], people["bob"])
    assert event.data["values"]["database main: migration_command"] == {
        "from": "",
        "to": "make migrate",
    }
    assert "portal → command" in event.sentence and event.actor_name == "bob"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("git_url", "https://elsewhere.example/x.git"),
        ("repository", "evil/inspector"),
        ("railway_project_id", "other"),
        ("databases-0-install_command", "curl evil"),
        ("databases-0-migration_variables", "SECRET"),
        ("databases-0-service", "frontend"),
        ("databases-0-variable", "OTHER_URL"),
        ("databases-0-public_service", "x"),
        ("databases-0-alembic", "evil"),
        ("databases-0-name", "other"),
        ("required_approvals", "3"),
        ("rollback_approvals", "0"),
        ("soak_minutes", "0"),
        ("deploy_order", "migrate_first"),
        ("required_checks", "  "),
        ("preview_forks", "on"),
        ("pull_comment_forks", "on"),
        ("production_branch", "other"),
        ("smoke_tests-0-path", "/quiet"),
    ],
)
@pytest.mark.slow
def test_every_dangerous_field_of_a_project_waits(erin, project, name, value):
    Project.objects.update(required_checks=["ci"])
    SmokeTest.objects.get_or_create(project=project, service="backend", path="/health")
    before = project_settings_guarded.Projects().read(Project.objects.get(pk=project.pk))

    send(erin, project, **{name: value})

    assert project_settings_guarded.Projects().read(Project.objects.get(pk=project.pk)) == before
    assert waiting().values


def test_every_field_that_nobody_freed_is_guarded():
    guarded = set(project_settings_guarded.Projects().columns(Project()))
    known = {
        field.name
        for field in Project._meta.concrete_fields
        if field.editable and not field.primary_key
    }

    assert known - guarded == project_settings_guarded.FREE


def test_databases_are_changed_added_and_taken_away_when_the_second_person_confirms(
    erin, people, project
):
    release = make_release(project, by=people["alice"])
    added = {
        "databases-TOTAL_FORMS": "2",
        "databases-1-name": "events",
        "databases-1-alembic": "events/alembic.ini",
        "databases-1-version_table": "alembic_version",
        "databases-1-runner": "portal",
        "databases-1-position": "1",
        "databases-1-service": "worker",
        "databases-1-variable": "EVENTS_URL",
        "databases-1-public_variable": "DATABASE_PUBLIC_URL",
    }
    send(erin, project, **added, **{"databases-0-variable": "OTHER"})
    assert project.databases.count() == 1
    confirm(people)

    assert dict(project.databases.values_list("name", "variable")) == {
        "main": "OTHER",
        "events": "EVENTS_URL",
    }
    release.refresh_from_db()
    assert release.collected == ""
    number = [database.name for database in project.databases.all()].index("events")
    send(erin, project, **{f"databases-{number}-DELETE": "on"})
    assert project.databases.count() == 2
    confirm(people)
    assert [database.name for database in project.databases.all()] == ["main"]


def test_smoke_tests_are_replaced_when_the_second_person_confirms(erin, people, project):
    kept = SmokeTest.objects.create(project=project, service="backend", path="/health")
    gone = SmokeTest.objects.create(project=project, service="backend", path="/old pages/x")
    number = list(SmokeTest.objects.filter(project=project)).index(gone)
    send(
        erin,
        project,
        **{
            f"smoke_tests-{number}-DELETE": "on",
            "smoke_tests-TOTAL_FORMS": "3",
            "smoke_tests-2-service": "frontend",
            "smoke_tests-2-path": "/new",
            "smoke_tests-2-expected_status": "204",
            "smoke_tests-2-on_production": "on",
        },
    )

    both = "backend /health 200 commit in staging and production"
    assert waiting().values["smoke_tests"]["to"] == [both, "frontend /new 204 in production"]
    confirm(people)

    rows = [
        (test.service, test.path, test.expected_status, test.on_staging)
        for test in project.smoke_tests.all()
    ]
    assert rows == [("backend", "/health", 200, True), ("frontend", "/new", 204, False)]
    assert project.smoke_tests.filter(pk=kept.pk).exists()


def test_a_database_address_waits_shows_where_it_leads_and_never_its_password(
    erin, people, project
):
    environment = place_of(
        Environment.objects.get(project=project, kind="production"), project.databases.get()
    )
    url = "postgresql://portal:hidden-word@db.evil.example:6543/inspector"

    page = send(erin, environment, new_database_url=url)

    environment.refresh_from_db()
    change = waiting()
    assert environment.url == ""
    assert change.values["address"]["to"] == "db.evil.example:6543/inspector"
    assert "hidden-word" not in squeezed(page) + erin.get("/configuration/changes/").text
    assert not AuditEvent.objects.filter(data_json__contains="hidden-word").exists()

    confirm(people)

    environment.refresh_from_db()
    change.refresh_from_db()
    assert environment.url.reveal() == url and change.secrets == ""

    rotated = url.replace("hidden-word", "another-word")  # leads to the same place
    send(erin, environment, new_database_url=rotated)

    environment.refresh_from_db()
    assert environment.url.reveal() == url and waiting().values["address"]

    confirm(people)

    environment.refresh_from_db()
    assert environment.url.reveal() == rotated


def test_the_second_person_is_another_one_who_may(people, project):
    change = actions.propose(project, actor=people["dave"], values={"soak_minutes": 0})

    with pytest.raises(Refused, match="second person"):
        actions.confirm_change(change, actor=people["dave"])
    for name in ("alice", "carol"):
        with pytest.raises(NotPermitted):
            actions.confirm_change(change, actor=people[name])
    User.objects.filter(username="bob").update(is_active=False)
    with pytest.raises(NotPermitted):
        actions.confirm_change(change, actor=User.objects.get(username="bob"))

    project.refresh_from_db()
    assert project.soak_minutes == 30


def test_the_database_holds_two_people_apart(people, project):
    change = actions.propose(project, actor=people["dave"], values={"soak_minutes": 0})
    rows = ConfigurationChange.objects.filter(pk=change.pk)

    for values in (
        {"state": "applied", "decided_by": people["dave"], "decided_at": timezone.now()},
        {"state": "applied"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**values)


def test_a_proposal_holds_only_while_its_giver_may_and_what_it_began_at_is_there(people, project):
    change = actions.propose(project, actor=people["erin"], values={"soak_minutes": 0})
    people["erin"].groups.clear()
    with pytest.raises(Refused, match="may no longer propose"):
        actions.confirm_change(change, actor=people["bob"])
    people["erin"].groups.set(Group.objects.filter(name="Administrators"))
    Project.objects.update(soak_minutes=5)
    with pytest.raises(Refused, match="changed since"):
        actions.confirm_change(change, actor=people["bob"])

    actions.decline_change(change, actor=people["bob"])
    with pytest.raises(Refused, match="declined already"):
        actions.confirm_change(change, actor=people["bob"])
    assert Project.objects.get().soak_minutes == 5


def test_one_person_sets_up_a_project_until_its_first_promotion_and_it_is_said(erin, people):
    project = make_project()

    page = send(erin, project, soak_minutes="0")

    project.refresh_from_db()
    change = ConfigurationChange.objects.get()
    assert project.soak_minutes == 0
    assert (change.state, change.alone) == ("applied", project_settings_guarded.NOT_PROMOTED)
    assert project_settings_guarded.NOT_PROMOTED in squeezed(page)
    assert (
        project_settings_guarded.NOT_PROMOTED
        in AuditEvent.objects.get(action="configuration.confirmed").sentence
    )


def test_a_new_project_does_not_take_over_what_another_one_ships(erin, project):
    sent = {
        **filled(erin.get("/admin/environments/project/add/")),
        "name": "second",
        "slug": "second",
    }
    answers = [
        erin.post("/admin/environments/project/add/", sent | {"repository": "acme/Inspector"}),
        erin.post(
            "/admin/environments/project/add/",
            sent | {"repository": "acme/x", "railway_project_id": project.railway_project_id},
        ),
    ]

    assert all("in production" in answer.text for answer in answers)
    assert Project.objects.count() == 1


@pytest.mark.parametrize(
    "taken",
    [
        {"railway_project_id": "RP-Inspector"},
        {"railway_project_id": " rp-inspector\n"},
        {"repository": "acme/old-name"},
        {"repository": "acme/New-Name"},
    ],
)
def test_another_spelling_or_a_former_name_is_the_same(project, taken):
    Project.objects.update(former_names=["acme/old-name"], renamed_to="acme/new-name")
    named = {"repository": "acme/second", "railway_project_id": "p"} | taken

    assert "in production" in project_settings_guarded.claimed(Project(), **named)


def test_a_portal_of_one_person_works_and_shutting_the_others_out_does_not_make_it_one(
    people, project
):
    others = User.objects.exclude(username="dave")
    others.update(is_active=False)
    assert (
        actions.propose(project, actor=people["dave"], values={"soak_minutes": 0}).state
        == "waiting"
    )

    ConfigurationChange.objects.all().delete()
    for other in others:
        other.groups.clear()
    assert actions.propose(project, actor=people["dave"], values={"soak_minutes": 0}).alone


def test_applying_a_change_lapses_what_was_signed_visibly_and_it_can_be_signed_anew(
    erin, people, project
):
    Project.objects.update(required_approvals=1)
    release = make_release(project, by=people["alice"], ready=True)
    release_actions.approve(release, actor=people["bob"])
    RiskAcceptance.objects.create(
        project=project,
        release=release,
        revision="a",
        sha256="b",
        risks=[],
        user=people["bob"],
        reason="fine",
    )
    actions.propose(project, actor=people["erin"], values={"soak_minutes": 0})
    assert gates.GATES["approved"](facts_of(release.pk)).passed

    confirm(people)

    result = gates.GATES["approved"](facts_of(release.pk))
    assert not result.passed and "configuration changed: soak_minutes" in result.sentence
    assert not RiskAcceptance.objects.filter(lapsed_at=None).exists()
    assert (
        "2 signatures lapsed" in AuditEvent.objects.get(action="configuration.confirmed").sentence
    )
    assert "lapsed: configuration changed" in erin.get(f"/releases/{release.pk}/").text
    release_actions.approve(release, actor=people["bob"])
    assert gates.GATES["approved"](facts_of(release.pk)).passed and Approval.objects.count() == 2


def test_a_role_takes_two_people_and_who_gave_it_is_kept(erin, people):
    carol = people["carol"]

    send(erin, carol, groups=[Group.objects.get(name="Approvers").pk])

    assert not signing.may_sign(carol, APPROVE)
    confirm(people)
    grant = RoleGrant.objects.get(user=carol)
    assert signing.may_sign(carol, APPROVE)
    assert (grant.group.name, grant.granted_by, grant.confirmed_by) == (
        "Approvers",
        people["erin"],
        people["bob"],
    )


@pytest.mark.parametrize(
    "changed", [{"groups": "Approvers"}, {"is_superuser": "on"}, {"user_permissions": "all"}]
)
def test_nobody_gives_themselves_a_role_or_a_right_not_even_a_superuser(client, people, changed):
    person = people["dave"] if "groups" in changed else people["erin"]
    client.force_login(people["dave"] if "groups" in changed else people["erin"])
    if "groups" in changed:
        changed = {"groups": [Group.objects.get(name="Approvers").pk]}
    if "user_permissions" in changed:
        changed = {"user_permissions": [Permission.objects.get(codename="approve_release").pk]}

    page = send(client, person, **changed)

    person.refresh_from_db()
    assert (
        not person.groups.filter(name="Approvers").exists() and not person.user_permissions.exists()
    )
    assert person.is_superuser == (person.username == "dave")
    assert not ConfigurationChange.objects.exists()
    if person.username == "dave":
        assert "You cannot give yourself" in squeezed(page)
        assert AuditEvent.objects.filter(
            action="configuration.proposed", outcome="refused"
        ).exists()


def test_whoever_a_change_is_about_does_not_confirm_it(people):
    actions.propose(
        people["bob"], actor=people["erin"], values={"groups": ["Approvers", "Release managers"]}
    )

    with pytest.raises(Refused, match="concerns you"):
        confirm(people)
    confirm(people, "dave")

    assert people["bob"].groups.count() == 2


def test_the_signature_of_a_role_that_somebody_gave_themselves_does_not_count(people, project):
    mallory = User.objects.create_user("mallory", is_staff=True)
    approvers = Group.objects.get(name="Approvers")
    mallory.groups.add(approvers)
    assert signing.may_sign(mallory, APPROVE)
    RoleGrant.objects.create(user=mallory, group=approvers, granted_by=mallory)
    release = make_release(project, by=people["alice"], ready=True)
    change = actions.propose(project, actor=people["erin"], values={"soak_minutes": 0})

    assert not signing.may_sign(mallory, APPROVE)
    for act in (
        lambda: release_actions.approve(release, actor=mallory),
        lambda: actions.confirm_change(change, actor=mallory),
    ):
        with pytest.raises(Refused, match="gave yourself"):
            act()
    RoleGrant.objects.create(user=people["dave"], granted_by=people["dave"])
    assert not signing.may_sign(people["dave"], APPROVE)


def test_an_approval_counts_only_while_its_giver_still_may(client, people, project):
    Project.objects.update(required_approvals=1)
    release = make_release(project, by=people["alice"], ready=True)
    release_actions.approve(release, actor=people["bob"])
    assert gates.GATES["approved"](facts_of(release.pk)).passed

    people["bob"].groups.clear()
    result = gates.GATES["approved"](facts_of(release.pk))
    client.force_login(people["carol"])
    assert not result.passed and "bob may no longer approve" in result.sentence
    assert "bob may no longer approve" in client.get(f"/releases/{release.pk}/").text

    people["bob"].groups.set(Group.objects.filter(name="Approvers"))
    assert gates.GATES["approved"](facts_of(release.pk)).passed
    User.objects.filter(username="bob").update(is_active=False)
    assert not gates.GATES["approved"](facts_of(release.pk)).passed


def test_another_persons_password_takes_two_where_they_sign(erin, people):
    new = "correct horse battery 9"
    sent = {"usable_password": "true", "password1": new, "password2": new}

    erin.post(f"/admin/auth/user/{people['bob'].pk}/password/", sent)

    bob = User.objects.get(username="bob")
    assert bob.check_password(PASSWORD) and new not in str(waiting().values)
    with pytest.raises(Refused, match="concerns you"):
        confirm(people)
    confirm(people, "dave")
    assert User.objects.get(username="bob").check_password(new)


def test_an_account_is_shut_by_one_person_opened_by_two_and_never_deleted(erin, people):
    carol = people["carol"]
    form = {**filled(erin.get(address(carol, "change")))}
    form.pop("is_active")
    erin.post(address(carol, "change"), form)
    assert not User.objects.get(username="carol").is_active

    send(erin, carol, is_active="on")
    assert (
        not User.objects.get(username="carol").is_active
        and waiting().values["is_active"]["to"] is True
    )
    erin.force_login(people["dave"])
    assert erin.post(address(carol, "delete"), {"post": "yes"}).status_code == 403


def test_what_a_role_may_do_takes_two_people_outside_that_role(client, people):
    guests = Group.objects.create(name="Guests")
    people["bob"].groups.add(guests)
    client.force_login(people["dave"])

    send(client, guests, permissions=[Permission.objects.get(codename="promote_release").pk])

    assert not guests.permissions.exists()
    with pytest.raises(Refused, match="You hold the role"):
        confirm(people)
    confirm(people, "erin")
    assert guests.permissions.get().codename == "promote_release"


def test_confirming_demands_what_the_project_demands_and_of_people_what_any_project_does(
    people, project
):
    Project.objects.update(second_factor=True)
    changes = [
        actions.propose(project, actor=people["erin"], values={"soak_minutes": 0}),
        actions.propose(people["carol"], actor=people["erin"], values={"groups": ["Approvers"]}),
    ]

    for change in changes:
        with pytest.raises(Refused, match="signed in"):
            actions.confirm_change(change, actor=people["bob"])


def test_the_page_and_the_board_say_what_waits_and_buttons_do_it(client, people, project):
    change = actions.propose(
        project, actor=people["erin"], values={"database main: migration_command": "<b>make</b>"}
    )
    client.force_login(people["alice"])
    board = squeezed(client.get("/"))
    client.force_login(people["bob"])
    waits, page = squeezed(client.get("/")), squeezed(client.get("/configuration/changes/"))
    client.post(f"/configuration/changes/{change.pk}/decline/")

    assert "1 configuration change</a> waiting for a second person" in board
    assert "change of database main: migration command needs a second person" in waits
    assert "&lt;b&gt;make&lt;/b&gt;" in page and f'id="confirm-{change.pk}"' in page
    change.refresh_from_db()
    assert change.state == "declined" and change.decided_by == people["bob"]
    assert AuditEvent.objects.filter(action="configuration.declined").exists()


def test_a_rule_for_variables_is_changed_by_two_people_and_not_deleted(erin, people, project):
    rule = VariableRule.objects.create(project=project, kind="separate", name="*DATABASE_URL")

    page = send(erin, rule, allowed="DATABASE_URL")
    rule.refresh_from_db()

    assert rule.allowed == "" and "Not changed yet" in squeezed(page)
    assert erin.get(address(rule, "delete")).status_code == 403
    confirm(people)
    rule.refresh_from_db()
    assert rule.allowed == "DATABASE_URL"


def test_pinned_host_keys_are_changed_by_two_people(erin, people, project):
    pinned, other = (f"ssh-ed25519 {key}\n" for key in (HOST_KEY, HOST_KEY.replace("IOM", "IPM")))
    key = DeployKey.objects.create(
        project=project, private_key="x", kind="ed25519", public_key="p", host_keys=pinned
    )

    send(erin, key, host_keys=other)
    key.refresh_from_db()

    assert key.host_keys == pinned
    confirm(people)
    key.refresh_from_db()
    assert key.host_keys == other
