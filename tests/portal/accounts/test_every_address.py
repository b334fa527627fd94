"""Every address, asked by every role: what they get stands in one table.

An address that is not in it fails.
"""

import re

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from portal.models.audit import AuditEvent
from tests.portal.accounts.addresses import every, furnish

pytestmark = pytest.mark.django_db


def words(text):
    return text.split()


ROLES = ("nobody", "norole", "alice", "bob", "carol", "erin")
# Release managers, approvers, auditors and administrators, in this order.
HAVE_A_ROLE = ("alice", "bob", "carol", "erin")
ALL = "alice bob carol erin"

# Pages: who reads them. Everybody with a role reads everything but configuration.
READ = words(
    "board board-panels pulls releases release release-panels task-log task-log-file environments"
    " previews protections variables connections migrations migration migration-panels"
    " migration-log rehearsal rehearsal-panels stamp stamp-panels"
    " audit audit-event audit-csv audit-jsonl"
    " second-factor access-tokens changes status notifications watch-only settings search runbook"
)
# Where there is no log or comparison yet, and where nothing more will come of a log.
READ_OTHERWISE = {
    "task-log-file": 404,
    "migration-log": 286,
    "sign-in-again": 302,
    "sign-in-resume": 302,
    "project-checklist": 302,
    "practice": 404,  # there in the sandbox only, where tests/journeys/test_practice.py asks
}
# Addresses of buttons: they take a POST.
ACT = words(
    "release-do item-do project-do change-do service-place staging-sync back-merge reset-ask"
    " reset-sign reset-take-back branch-repair push-repair head-deploy preview-rebuild"
    " preview-remove preview-variable preview-variable-remove environment-delete environment-adopt"
    " protect connections-check host-keys finding-resolve findings-resolve schema-compare"
    " migration-cancel"
    " stamp-ask stamp-propose stamp-approve stamp-take-back"
    " migration-retry rehearsal-cancel rehearsal-again channel-do rename keep-heads"
    " settings-save require credential-paste credential-remove new-project-choose practice-day "
)
# Answered alike to everybody: what machines ask, and the way in and out.
OPEN = {
    "setup": 404,
    "healthz": 200,
    "health-live": 200,
    "health-ready": 200,
    "metrics": 200,
    "webhooks/github/": 405,
    "webhooks/railway/<str:secret>/": 405,
    "sign-out": 405,
    "invited": 200,
    # A terminal's addresses take an access token, never a session.
    "terminal-whoami": 401,
    "terminal-sync": 401,
    "terminal-repair": 401,
    "terminal-task-log": 401,
}
# Connecting a project: administrators alone.
CONNECT = words("new-project proposal go-live github-app credentials")
# There an App is awaited; without one, and without the state that was sent along, it leads back.
BACK = words("github-app-made github-app-installed")
# Configuration, by model: who sees it, adds to it, deletes from it.
SEES = {
    "auth.user": "carol erin",
    "auth.group": "carol erin",
    "portal.auditevent": ALL,
    "portal.webhookdelivery": "carol erin",
    "environments.environment": ALL,
    "environments.deploykey": "carol erin",
    "environments.environmentdatabase": "carol erin",
    "environments.service": "carol",
    "environments.deployment": "carol",
    "environments.migrationrun": ALL,
    "environments.finding": ALL,
    "environments.variablerule": "carol erin",
    "environments.project": ALL,
    "releases.checklisttemplate": "carol erin",
    "releases.freeze": "carol",
    "releases.release": ALL,
    "releases.promotion": ALL,
    "releases.rollback": ALL,
    "releases.pullrequest": ALL,
}
ADDS = {
    "auth.user": "erin",
    "environments.deploykey": "erin",
    "environments.variablerule": "erin",
    "environments.project": "erin",
    "releases.checklisttemplate": "erin",
    "releases.freeze": "alice",
}
# What a second person has to confirm is deleted by one only while nobody else may confirm changes.
DELETES: dict[str, str] = {}
# The rest of the admin, for those who have a role.
ADMIN = {
    "index": 200,
    "login": 302,
    "logout": 405,
    "password_change": 200,
    "password_change_done": 200,
    "autocomplete": 403,
    "jsi18n": 200,
    "view_on_site": 404,
    "app_list": 200,
    "admin/(?P<url>.*)$": 404,
}


def expected(name: str, pattern: str, role: str) -> int:
    """The status that the table promises."""
    if name in OPEN:
        return OPEN[name]
    if role == "nobody":
        return 200 if name == "login" else 302
    if role == "norole":
        return _without_a_role(name, pattern)
    if name in READ_OTHERWISE or name in READ:
        return READ_OTHERWISE.get(name, 200)
    if name in CONNECT:
        return 200 if role == "erin" else 403
    if name in BACK:
        return 302 if role == "erin" else 403
    if name in ACT:
        return 405
    if name in ADMIN:
        return ADMIN[name]
    return _configuration(name, pattern, role)


def _without_a_role(name: str, pattern: str) -> int:
    if not pattern.startswith("admin/"):
        return 403
    return 403 if name == "login" else 302  # to the sign-in page, which says whom to ask


def _configuration(name: str, pattern: str, role: str) -> int:
    found = re.fullmatch(r"admin/(\w+)/(\w+)/(.*)", pattern)
    if found is None:
        return -1  # nobody wrote down who may ask this address
    app, model, rest = found.groups()
    label, what = f"{app}.{model}", rest.rstrip("/").rpartition("/")[2]
    if rest == "<path:object_id>/":
        return 302
    if what == "add":
        return 200 if role in ADDS.get(label, "").split() else 403
    if what == "delete":
        return 200 if role in DELETES.get(label, "").split() else 403
    if what == "password":
        return 200 if role == "erin" else 403
    exists = not rest or apps.get_model(label).objects.exists()
    if what == "history" and not exists:
        return 302
    if role not in SEES.get(label, "").split():
        return 403
    return 200 if exists else 302


def clients(people):
    found = {"nobody": Client()}
    for role in ROLES[1:]:
        found[role] = Client()
        found[role].force_login(people[role], backend="django.contrib.auth.backends.ModelBackend")
    return found


SIGNED_OUT = ("invited",)  # shown to people who are not signed in


def has_help(answer) -> bool:
    """Whether an answer is no whole page, or one with the help of `?`, the palette, and links to
    the pages above it.
    """
    if answer.streaming or b"<!doctype html" not in answer.content[:200].lower():
        return True
    wanted = (b'id="help"', b'id="palette"', b"<nav")
    return all(one in answer.content for one in wanted)


@pytest.mark.slow
def test_every_address_answers_every_role_as_the_table_says(settings):
    settings.RAILWAY_WEBHOOK_SECRET = settings.GITHUB_WEBHOOK_SECRET = "s"
    asked = clients(furnish())
    wrong = []

    for name, pattern, address in every():
        # What libraries bring, and mere redirects, are asked by two: tests/faults/access.py asks
        # them by all.
        by_all = not re.match("admin/(axes|django_q)/", pattern) and not pattern.endswith(
            "<path:object_id>/"
        )
        for role, client in asked.items():
            if not by_all and role not in ("nobody", "carol"):
                continue
            answer = client.get(address)
            status = answer.status_code
            if (
                role == "carol"
                and status == 200
                and name not in SIGNED_OUT
                and not has_help(answer)
            ):
                wrong.append(f"{address} ({name}): without help, palette or a way up")
            if status != expected(name, pattern, role):
                wrong.append(
                    f"{role} {address} ({name}): {status}, promised {expected(name, pattern, role)}"
                )

    assert not wrong, "\n".join(wrong)


def rows():
    """Every row of every table but the trail, sessions, and who signed in when."""
    left_out = {
        "portal.auditevent",
        "portal.audithead",
        "sessions.session",
        "axes.accesslog",
        "auth.user",
    }
    kept = (
        model
        for model in apps.get_models()
        if model._meta.label_lower not in left_out and model._meta.managed
    )
    return {
        model._meta.label_lower: sorted(map(str, model._base_manager.values_list()))
        for model in kept
    }


@pytest.mark.parametrize("role", ["nobody", "norole", "carol"])
@pytest.mark.slow
def test_whoever_may_only_look_changes_nothing_by_whatever_they_send(role):
    people = furnish()
    client = clients(people)[role]
    from releases.pages.buttons import PROJECT_BUTTONS, RELEASE_BUTTONS

    addresses = [
        address
        for name, _, address in every()
        if not name.startswith(("second-", "sign-", "log", "password", "access-tokens"))
    ]
    release = next(address for address in addresses if address.endswith("/notes/"))
    addresses += [release.replace("/notes/", f"/{verb}/") for verb in RELEASE_BUTTONS]
    addresses += [
        reverse("releases:project-do", args=["inspector", verb]) for verb in PROJECT_BUTTONS
    ]
    names = (
        "reason candidate seen content value typed notes comment _save post name username password1"
        " password2"
    )
    fields = dict.fromkeys(words(names), "x")
    before = rows()

    for address in addresses:
        client.post(address, fields)

    assert rows() == before
    assert (
        not AuditEvent.objects.filter(outcome="done", actor_name=role)
        .exclude(action__startswith="person.")
        .exists()
    )
