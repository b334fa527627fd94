"""Attacks on every button and on the ways in, as a table: attack, tried, succeeded.

`python -m tests.faults.doors`; 1 when one succeeds. Each button is pressed by people who may not,
without its token, and by a link; then come the first administrator's code, pasted credentials,
*watch only*, stamps, days to practise, the search and the exports.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import csv
import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone

from environments.models import Project, Stamp
from environments.stamps import actions as stamps
from portal import audit
from portal.accounts import tokens
from portal.audit_page.views import FORMULA
from portal.first_start import codes
from portal.models.configuration import ConfigurationChange
from portal.models.credentials import ServiceCredential
from portal.models.tokens import AccessToken
from portal.sandbox.server import Response, Server
from portal.ui.actions import NotPermitted, Refused
from releases.pages.buttons import PROJECT_BUTTONS, RELEASE_BUTTONS
from releases.practice import days
from tests.factory import make_people, make_project, make_promotion, make_release
from tests.faults import denied_audit
from tests.portal.accounts.addresses import every, furnish
from tests.portal.accounts.test_every_address import ACT, OPEN

Count = tuple[int, int]  # tried, succeeded
BACKEND = "django.contrib.auth.backends.ModelBackend"
PASSWORD = "correct horse battery"
TOKEN = "ghp_canaryCanaryCanaryCanaryCanary0000"
# What auditors may do as everybody who reads: channels of their own.
READERS_MAY = frozenset({"add_channel", "change_channel", "remove_channel", "test_channel"})

# What everybody who signed in does to their own account; it needs no role.
OF_ONES_OWN = frozenset(
    {"make a token", "remove a token", "enrol", "renew codes", "remove a factor"}
)


def actions_without_a_role() -> Count:
    """Every action, on rows on which it succeeds, by an account that has no role."""
    return _actions_by([], frozenset())


def actions_by_an_auditor() -> Count:
    return _actions_by(["Auditors"], READERS_MAY)


def actions_by_a_deactivated_superuser() -> Count:
    return _actions_by([], frozenset(), superuser=True, is_active=False)


def _actions_by(
    roles: list[str], allowed: frozenset[str], *, superuser: bool = False, is_active: bool = True
) -> Count:
    tried = succeeded = 0
    for one in denied_audit.tries():
        if one.name in allowed | OF_ONES_OWN:
            continue
        with transaction.atomic():
            scene = denied_audit.Scene()
            act = one.arrange(scene)
            dave = scene.dave
            dave.is_superuser, dave.is_active = superuser, is_active
            dave.save()
            dave.groups.set(Group.objects.filter(name__in=roles))
            for kept in ("_perm_cache", "_user_perm_cache", "_group_perm_cache"):
                dave.__dict__.pop(kept, None)
            tried += 1
            try:
                act()
            except NotPermitted:
                pass
            else:
                succeeded += 1
            transaction.set_rollback(True)
    return tried, succeeded


def _buttons() -> Iterator[str]:
    """The address of every button of the portal, those of release and project with each verb."""
    for name, _, address in every():
        if name == "release-do":
            yield from (address.replace("/notes/", f"/{verb}/") for verb in RELEASE_BUTTONS)
        elif name == "project-do":
            yield from (address.replace("/freeze/", f"/{verb}/") for verb in PROJECT_BUTTONS)
        elif name in ACT:
            yield address


def buttons_without_the_forms_token() -> Count:
    """What a page of somebody else would have the browser of a superuser send."""
    client = _client(furnish()["dave"], enforce_csrf_checks=True)
    answers = [client.post(address, {"reason": "x"}).status_code for address in _buttons()]
    return len(answers), sum(status != 403 for status in answers)


def buttons_by_a_link() -> Count:
    client = _client(furnish()["dave"])
    answers = [client.get(address).status_code for address in _buttons()]
    return len(answers), sum(status not in (404, 405) for status in answers)


def buttons_by_nobody_and_without_a_role() -> Count:
    people = furnish()
    tried = succeeded = 0
    for client, refusals in ((Client(), (204, 302)), (_client(people["norole"]), (403,))):
        for address in _buttons():
            tried += 1
            answer = client.post(address, {"reason": "x"})
            away = "/admin/login/" in answer.headers.get("Location", "/admin/login/")
            succeeded += answer.status_code not in refusals or not away
    return tried, succeeded


def guessing_the_setup_code(count: int = 300) -> Count:
    """The first administrator's code, from one address; the right one comes last."""
    code, looked = codes.make(), 0
    guesses = [*(f"AAAA-AAAA-AAAA-{n:04}" for n in range(count)), code]
    for guess in guesses:
        looked += Client().post("/setup/", _setup(guess)).status_code != 429
    return len(guesses), max(0, looked - 5) + User.objects.count()


def setting_up_a_portal_that_has_people() -> Count:
    code = codes.make()
    make_people()
    answers = [Client().get("/setup/"), Client().post("/setup/", _setup(code))]
    token_less = Client(enforce_csrf_checks=True).post("/setup/", _setup(code))
    with override_settings(SANDBOX=True):
        User.objects.filter(username="zoe").delete()
        answers.append(Client().post("/setup/", _setup(code)))
    won = User.objects.filter(username="zoe").count()
    return 4, sum(one.status_code != 404 for one in answers) + (token_less.status_code < 400) + won


def _setup(code: str) -> dict[str, str]:
    return {"code": code, "username": "zoe", "password": PASSWORD, "again": PASSWORD}


@contextmanager
def _github() -> Iterator[None]:
    server = Server(lambda request: Response(200, {"login": "x", "items": []})).start()
    try:
        with override_settings(GITHUB_API_URL=server.url, GITHUB_TOKEN="", GITHUB_APP_ID=""):
            yield
    finally:
        server.stop()


def a_pasted_credential_is_read_again() -> Count:
    """The token in any page, download, event, proposal or row."""
    people = furnish()
    client, found, read = _client(people["dave"]), 0, 0
    with _github():
        client.post("/new-project/credential/", {"service": "github", "token": TOKEN})
        change = ConfigurationChange.objects.get(state="waiting")
        _client(people["bob"]).post(f"/configuration/changes/{change.pk}/confirm/")
        kept = ServiceCredential.objects.get(service="github")
        assert str(getattr(kept.secret, "reveal", lambda: kept.secret)()) == TOKEN, "it was kept"
    for _, _, address in every():
        answer = client.get(address)
        read += 1
        found += answer.status_code == 200 and TOKEN.encode() in answer.getvalue()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'SELECT count(*) FROM "{table}" one WHERE one::text LIKE %s', [f"%{TOKEN}%"]
            )
            found, read = found + cursor.fetchone()[0], read + 1
    return read, found


def a_secret_is_kept_when_the_session_has_ended() -> Count:
    """What is typed while nobody is signed in waits in the session, but no secret does."""
    furnish()
    forms = {
        "/new-project/credential/": ("token",),
        "/previews/inspector/variable/": ("value",),
        "/notifications/": ("address",),
        "/sign-in/again/": ("password", "code"),
        "/account/second-factor/": ("password", "code"),
    }
    kept = 0
    for address, names in forms.items():
        client = Client()
        client.post(address, dict.fromkeys(names, TOKEN) | {"name": "A"})
        kept += TOKEN in str(dict(client.session))
    honest = Client()
    honest.post("/projects/inspector/freeze/", {"reason": "kept for the person"})
    assert "kept for the person" in str(dict(honest.session)), "what is no secret waits"
    return len(forms), kept


def a_credential_is_replaced_by_one_person() -> Count:
    people, tried = _in_production(), 0
    with _github():
        for name in ("norole", "alice", "bob", "carol", "erin"):
            fields = {"service": "github", "token": TOKEN}
            _client(people[name]).post("/new-project/credential/", fields)
            tried += 1
    change = ConfigurationChange.objects.filter(state="waiting").first()
    assert change is not None, "an administrator may propose it"
    for name in ("erin", "norole", "carol", "alice"):
        _client(people[name]).post(f"/configuration/changes/{change.pk}/confirm/")
        tried += 1
    return tried, ServiceCredential.objects.exclude(secret="").count()


def watch_only_is_ended_by_one_person() -> Count:
    people, tried = _in_production(), 0
    Project.objects.update(watch_only=True)
    for name in ("norole", "alice", "bob", "carol", "erin", "erin"):
        client = _client(people[name])
        client.post("/projects/inspector/start-sending/")
        client.post("/projects/inspector/go-live/list/", {"confirm": "on", "wanted": []})
        for change in ConfigurationChange.objects.filter(proposed_by=people[name]):
            client.post(f"/configuration/changes/{change.pk}/confirm/")
        tried += 1
    return tried, Project.objects.filter(watch_only=False).count()


def a_stamp_by_one_person() -> Count:
    people = furnish()
    row = Stamp.objects.get()
    target = ", ".join(row.equal[0])
    stamps.propose_stamp(row, actor=people["dave"], target=target, reason="adopted")
    tries: list[Callable[[], Any]] = [
        lambda: stamps.approve_stamp(row, actor=people["dave"], target=target),
        lambda: stamps.approve_stamp(row, actor=None, target=target),
        lambda: stamps.approve_stamp(row, actor=people["alice"], target=target),
        lambda: stamps.approve_stamp(row, actor=people["carol"], target=target),
        lambda: stamps.approve_stamp(row, actor=people["norole"], target=target),
        lambda: stamps.approve_stamp(row, actor=people["bob"], target="another"),
        lambda: stamps.propose_stamp(row, actor=people["alice"], target="another", reason="x"),
    ]
    refused = sum(_refused(one) for one in tries)
    row.refresh_from_db()
    return len(tries), len(tries) - refused + (row.approved_by is not None)


def an_access_token_opens_more() -> Count:
    """A superuser's token at every address, and tokens whose owner lost what it stands on."""
    people, tried, opened = furnish(), 0, 0
    everybody, token = Client(), tokens.make(people["dave"], "laptop")
    bearer = {"Authorization": f"Bearer {token}"}
    assert everybody.get("/terminal/whoami/", headers=bearer).status_code == 200, "it counts"
    for name, pattern, address in every():
        if name.startswith("terminal-") or name in OPEN or pattern.startswith("admin/login"):
            continue
        for asked in (everybody.get, everybody.post):
            tried += 1
            opened += asked(address, headers=bearer).status_code in (200, 201, 202, 286)
    losses: list[Callable[[User], Any]] = [
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: User.objects.filter(pk=user.pk).update(is_staff=False),
        lambda user: user.groups.clear(),
        lambda user: (user.set_password(PASSWORD), user.save()),
        lambda user: AccessToken.objects.update(expires_at=timezone.now()),
        lambda user: tokens.remove(user, AccessToken.objects.get(user=user).pk),
    ]
    for lose in losses:
        with transaction.atomic():
            kept = {"Authorization": f"Bearer {tokens.make(people['alice'], 'laptop')}"}
            lose(User.objects.get(username="alice"))
            tried += 1
            opened += everybody.get("/terminal/whoami/", headers=kept).status_code != 401
            transaction.set_rollback(True)
    return tried, opened


def days_to_practise_in_a_real_portal() -> Count:
    people, server = furnish(), Server(lambda request: Response(404)).start()
    server.days = lambda request: Response(200, [])
    try:
        with override_settings(GITHUB_API_URL=server.url):
            client = _client(people["dave"])
            pages = [client.get("/practice/"), client.post("/practice/begin/", {"name": "d"})]
            refused = _refused(
                lambda: days.begin(Project.objects.get(), actor=people["dave"], name="d")
            )
    finally:
        server.stop()
    asked = sum("_sandbox" in one.path for one in server.requests)
    return 3, sum(one.status_code != 404 for one in pages) + (not refused) + asked


def searching_without_a_role() -> Count:
    people = furnish()
    words = ("", "2026", "20", "inspector", "backend", "#1", "a", "staging", "c" * 7)
    tried = found = 0
    for client in (Client(), _client(people["norole"])):
        for typed in words:
            for headers in ({}, {"HX-Request": "true"}):
                answer = client.get("/search/", {"q": typed}, headers=headers)
                tried += 1
                found += answer.status_code == 200 or b"inspector" in answer.content
    return tried, found


def formulas_in_an_export() -> Count:
    with transaction.atomic():
        dave = make_people()["dave"]
        for sign in FORMULA:
            for before in ("", " ", "\xa0", "\u3000"):
                text = f"{before}{sign}HYPERLINK(1)"
                audit.record("x.done", actor=dave, scope=text, sentence=text, data={"x": text})
    body = _client(dave).get("/audit/export.csv").getvalue().decode()
    rows = list(csv.reader(io.StringIO(body)))
    cells = [cell for row in rows for cell in row]
    return len(FORMULA) * 4, sum(
        cell.lstrip(" \xa0\u3000").startswith(FORMULA) for cell in cells if cell
    )


def _in_production() -> dict[str, Any]:
    """The usual people, and a project of which something was promoted."""
    people = make_people()
    people["erin"] = User.objects.create(username="erin", is_staff=True)
    people["erin"].groups.set(Group.objects.filter(name="Administrators"))
    people["norole"] = User.objects.create(username="norole", is_staff=True)
    make_promotion(make_release(make_project(), by=people["alice"]), at="")
    return people


def _client(user: Any, **options: bool) -> Client:
    client = Client(**options)
    client.force_login(user, backend=BACKEND)
    return client


def _refused(act: Callable[[], Any]) -> bool:
    try:
        act()
    except Refused:
        return True
    return False


ATTACKS: tuple[Callable[[], Count], ...] = (
    actions_without_a_role,
    actions_by_an_auditor,
    actions_by_a_deactivated_superuser,
    buttons_without_the_forms_token,
    buttons_by_a_link,
    buttons_by_nobody_and_without_a_role,
    guessing_the_setup_code,
    setting_up_a_portal_that_has_people,
    a_pasted_credential_is_read_again,
    a_secret_is_kept_when_the_session_has_ended,
    a_credential_is_replaced_by_one_person,
    watch_only_is_ended_by_one_person,
    a_stamp_by_one_person,
    an_access_token_opens_more,
    days_to_practise_in_a_real_portal,
    searching_without_a_role,
    formulas_in_an_export,
)


def main() -> int:
    """Prints the table, each attack on a database of its own; 0 when none succeeded."""
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    settings.RAILWAY_WEBHOOK_SECRET = settings.GITHUB_WEBHOOK_SECRET = "s"
    logging.disable(logging.CRITICAL)  # refusals by the hundred
    succeeded = 0
    began = timezone.now()
    print(f"{'attack':40} {'tried':>7} {'succeeded':>10}")
    for attack in ATTACKS:
        with scratch_database():
            tried, won = attack()
        succeeded += won
        print(f"{attack.__name__.replace('_', ' '):40} {tried:7} {won:10}", flush=True)
    print(f"{succeeded} succeeded, in {(timezone.now() - began).total_seconds():.0f} s")
    return 1 if succeeded else 0


if __name__ == "__main__":
    sys.exit(main())
