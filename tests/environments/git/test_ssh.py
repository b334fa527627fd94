"""Git over SSH against a real sshd: the key is let in, no other host is believed, and nothing of
the key is left.
"""

import stat
import subprocess
import warnings

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from environments.connections import actions, check
from environments.git import host_keys, keys, ssh
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors import clone
from environments.models import ConnectionCheck, DeployKey, Project
from portal.models.audit import AuditEvent
from portal.ui.actions import Refused
from tests.environments.git.sshd import MISSING, SSHD, make_key, serving
from tests.environments.git.test_repository import commit, git
from tests.factory import make_people, make_project

if not SSHD:
    warnings.warn(MISSING, stacklevel=1)
needs_sshd = pytest.mark.skipif(not SSHD, reason=MISSING)


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    where = tmp_path_factory.mktemp("origin")
    git(where, "init", "-q", "-b", "main")
    commit(where, "First", {"a.txt": "1\n"})
    git(where, "branch", "staging")
    return where


@pytest.fixture(scope="module")
def server(tmp_path_factory, origin):
    with serving(tmp_path_factory.mktemp("sshd") / "one", origin) as server:
        yield server


def mirror_over(server, path, *, key="", hosts=None):
    private, facts = keys.take(key or server.private)
    access = ssh.Access(private, server.host if hosts is None else hosts, facts.fingerprint)
    return Mirror(path / "mirror", server.url, access=access)


def refusal(mirror, verb="fetch"):
    with pytest.raises(GitError) as caught:
        getattr(mirror, verb)(timeout=30)
    return caught.value.kind, str(caught.value)


# Keys and addresses


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("git@github.com:acme/inspector.git", "github.com"),
        ("ssh://git@git.example.org:2222/acme/inspector.git", "[git.example.org]:2222"),
        ("https://github.com/acme/inspector.git", None),
        ("/srv/git/inspector.git", None),
        ("-oProxyCommand=touch:x", None),
        ("ssh://-oProxyCommand=x/y", None),
    ],
)
def test_ssh_addresses_are_told_from_others(url, label):
    found = host_keys.address_of(url)

    assert (found.label if found else None) == label


def test_a_key_is_told_by_kind_and_fingerprint_as_openssh_tells_it(tmp_path):
    made = make_key(tmp_path / "key")
    message = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True
    ).stdout

    found = keys.take(made.replace("\n", "\r\n") + "  \r\n")[1]

    assert found.kind == "ed25519" and found.fingerprint == message.split()[1]
    assert found.public.split()[1] == (tmp_path / "key.pub").read_text().split()[1]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda key, folder: (folder / "key.pub").read_text(), "public half"),
        (lambda key, folder: "ghp_abcdef", "no private key"),
        (lambda key, folder: key[:150], "cut off or changed"),
        (lambda key, folder: make_key(folder / "locked", passphrase="secret words"), "passphrase"),
        (lambda key, folder: make_key(folder / "short", kind="rsa", passphrase="x"), "passphrase"),
    ],
)
def test_a_key_that_cannot_be_used_is_explained_in_one_sentence_without_a_letter_of_it(
    tmp_path, spoil, words
):
    bad = spoil(make_key(tmp_path / "key"), tmp_path)

    with pytest.raises(keys.BadKey) as caught:
        keys.take(bad)

    assert words in str(caught.value) and str(caught.value).count(".") == 1
    assert not any(line in str(caught.value) for line in bad.split() if len(line) > 20)


def test_host_keys_are_read_from_any_usual_spelling_and_anything_else_is_named(tmp_path):
    make_key(tmp_path / "host")
    kind, blob, _ = (tmp_path / "host.pub").read_text().split()

    found = host_keys.read_host_keys(
        f"# a comment\n{kind} {blob} root@host\n\n[git.example.org]:2222 {kind} {blob}\n"
    )

    assert [one.blob for one in found] == [blob]
    for bad in ("|1|abc|def ssh-rsa", f"{kind} {blob[:30]}", f"@revoked x {kind} {blob}", "hello"):
        with pytest.raises(keys.BadKey, match="ine 1"):
            host_keys.read_host_keys(bad)


def test_githubs_own_host_keys_have_the_fingerprints_that_github_publishes():
    found = {key.fingerprint for key in host_keys.read_host_keys(host_keys.published("github.com"))}

    assert found == {
        "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
    }
    assert host_keys.published("git.example.org") == ""


def test_the_key_lies_in_a_private_file_while_git_runs_and_nowhere_else(tmp_path):
    private, facts = keys.take(make_key(tmp_path / "key"))
    host = (tmp_path / "key.pub").read_text()
    secret = "".join(private.splitlines()[1:-1])

    with ssh.signed_in(
        ssh.Access(private, host, facts.fingerprint), "git@example.org:a/b.git", tmp_path
    ) as extra:
        (folder,) = tmp_path.glob(f"{ssh.LEFT}*")
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "key")]
        pinned = (folder / "known_hosts").read_text()

    assert modes == [0o700, 0o600] and pinned.startswith("example.org ssh-ed25519 AAAA")
    assert secret[:40] not in repr(extra) and secret[:40] not in repr(ssh.Access(private))
    for wanted in (
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "UserKnownHostsFile=",
    ):
        assert wanted in extra["GIT_SSH_COMMAND"]
    assert not folder.exists()


# Against a real server


@needs_sshd
def test_a_mirror_is_fetched_over_ssh_and_nothing_of_the_key_is_left(server, origin, tmp_path):
    mirror = mirror_over(server, tmp_path)
    left = mirror.path / f"{ssh.LEFT}killed"
    left.mkdir(parents=True)
    (left / "key").write_text("what a killed worker left")

    mirror.fetch()

    assert mirror.head("main") == git(origin, "rev-parse", "main")
    assert mirror.reach() == 2
    assert list(mirror.path.glob(f"{ssh.LEFT}*")) == []
    assert "PRIVATE KEY" not in (mirror.path / "config").read_text()


@needs_sshd
def test_a_key_that_the_server_does_not_know_is_named_by_its_fingerprint(server, tmp_path):
    kind, message = refusal(mirror_over(server, tmp_path, key=server.other))

    fingerprint = keys.take(server.other)[1].fingerprint
    assert kind == "key" and "refuses the deploy key" in message and fingerprint in message


@needs_sshd
def test_a_host_key_that_was_never_pinned_is_not_believed(server, tmp_path):
    assert (
        "No host key of 127.0.0.1 is pinned" in refusal(mirror_over(server, tmp_path, hosts=""))[1]
    )


@needs_sshd
def test_a_changed_host_key_stops_the_fetch_and_is_explained(server, origin, tmp_path):
    make_key(tmp_path / "elsewhere")
    changed = mirror_over(server, tmp_path, hosts=(tmp_path / "elsewhere.pub").read_text())

    kind, message = refusal(changed)

    assert kind == "host_key" and "shows another host key than the pinned one" in message
    assert not (changed.path / "packed-refs").exists() and changed.head("main") is None


@needs_sshd
def test_a_server_that_is_down_is_not_a_wrong_key(server, tmp_path):
    mirror = mirror_over(server, tmp_path)
    mirror.url = mirror.url.replace(str(server.port), "1")

    kind, message = refusal(mirror, "reach")

    assert kind == "unreachable" and "cannot be reached over SSH" in message


# Configuration, diagnosis and page


@pytest.fixture
def people(db):
    return make_people()


@pytest.fixture
def dave(people):
    return signed_in(people["dave"])


def signed_in(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def project(people, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.GITHUB_TOKEN = settings.RAILWAY_API_TOKEN = settings.RAILWAY_TOKEN = ""
    return make_project()


def add_key(client, project, **values):
    given = {"project": project.pk, "new_key": "", "host_keys": "", **values}
    return client.post("/admin/environments/deploykey/add/", given, follow=True).content.decode()


def test_a_key_is_pasted_once_and_never_shown(dave, project, tmp_path):
    private = make_key(tmp_path / "key")
    secret = private.splitlines()[2]

    message = add_key(dave, project, new_key=private)
    row = DeployKey.objects.get()
    shown = dave.get(f"/admin/environments/deploykey/{row.pk}/change/").content.decode()

    with connection.cursor() as cursor:
        cursor.execute("SELECT private_key FROM environments_deploykey")
        stored = cursor.fetchone()[0]
    assert (
        "was added successfully" in message and row.fingerprint in shown and row.public_key in shown
    )
    assert "PRIVATE KEY" not in stored and "PRIVATE KEY" not in shown
    assert all(secret not in text for text in (message, shown, stored))
    assert not AuditEvent.objects.filter(data_json__contains=secret).exists()
    assert AuditEvent.objects.get(
        action="configuration.added", subject_kind="environments.deploykey"
    )


def test_the_portal_makes_a_key_by_itself_and_pins_githubs_host_keys(dave, project, settings):
    settings.GITHUB_GIT_URL = "https://github.com"

    add_key(dave, project, make_key="on")

    row = DeployKey.objects.get()
    assert row.kind == "ed25519" and row.public_key.startswith("ssh-ed25519 ")
    assert len(host_keys.read_host_keys(row.host_keys)) == 2
    assert clone.mirror_of(project).url == "ssh://git@github.com/acme/inspector.git"


def test_a_bad_key_or_host_key_is_refused_in_the_form_and_not_kept(dave, project, tmp_path):
    locked = make_key(tmp_path / "locked", passphrase="secret words")

    message = add_key(dave, project, new_key=locked)
    both = add_key(dave, project, make_key="on", host_keys="nonsense")

    assert "protected by a passphrase" in message and locked.splitlines()[1] not in message
    assert "Line 1 is no host key" in both
    assert not DeployKey.objects.exists()


def key_for(project, server, *, key="", hosts=""):
    private, facts = keys.take(key or server.private)
    Project.objects.filter(pk=project.pk).update(git_url=server.url)
    project.refresh_from_db()
    return DeployKey.objects.create(
        project=project,
        private_key=private,
        kind=facts.kind,
        public_key=facts.public,
        fingerprint=facts.fingerprint,
        host_keys=hosts,
    )


def of_key():
    return next(one for one in check.diagnose() if one.name.startswith("Deploy key"))


@needs_sshd
def test_the_diagnosis_says_what_the_key_is_and_that_it_is_let_in(project, server):
    row = key_for(project, server, hosts=server.host)

    found = of_key()

    assert (found.state, found.kind) == ("pass", f"ed25519 key, {row.fingerprint}")
    assert "read 2 branches over SSH" in found.can[0] and "Write" in found.cannot[1]


@needs_sshd
def test_a_refused_key_is_told_where_to_be_added(project, server):
    key_for(project, server, key=server.other, hosts=server.host)

    found = of_key()

    assert (
        found.state == "fail"
        and "Deploy keys" in found.fix
        and found.public_key.startswith("ssh-ed25519")
    )


@needs_sshd
def test_host_keys_are_shown_compared_and_pinned_in_the_browser(project, server, people, dave):
    row = key_for(project, server)
    found = of_key()
    ConnectionCheck.objects.create(found=[vars(found)], wake_at="2999-01-01T00:00Z")
    _, _, fingerprint, known = found.offers[0]
    page = dave.get("/connections/").content.decode()

    dave.post("/connections/inspector/host-keys/", {"fingerprint": [fingerprint]})
    row.refresh_from_db()
    event = AuditEvent.objects.get(action="configuration.confirmed")

    assert (
        found.state == "fail"
        and known == ""
        and fingerprint in page
        and "Pin selected keys" in page
    )
    assert row.host_keys.split()[1] == server.host.split()[1] and fingerprint in event.sentence
    assert ConnectionCheck.objects.get().wake_at.year < 2999
    assert of_key().state == "pass"


@needs_sshd
def test_only_a_key_that_the_server_shows_is_pinned_and_only_by_those_who_may(
    project, server, people
):
    row = key_for(project, server, hosts=server.host)

    with pytest.raises(Refused, match="did not see the host key SHA256:other"):
        actions.pin_host_keys(row, actor=people["dave"], fingerprints=["SHA256:other"])
    with pytest.raises(Refused, match="at least one"):
        actions.pin_host_keys(row, actor=people["dave"], fingerprints=[])
    with pytest.raises(Refused, match="not allowed"):
        actions.pin_host_keys(row, actor=people["alice"], fingerprints=["SHA256:other"])

    row.refresh_from_db()
    assert row.host_keys == server.host


def test_a_key_that_nothing_uses_and_an_ssh_address_without_a_key_are_said(
    project, server, tmp_path
):
    Project.objects.update(git_url="ssh://git@git.example.org/acme/inspector.git")
    missing = of_key()
    key_for(project, server)
    Project.objects.update(git_url="https://git.example.org/acme/inspector.git")
    unused = of_key()

    assert (missing.kind, missing.state) == (
        "not set",
        "fail",
    ) and "git.example.org" in missing.sentence
    assert unused.state == "fail" and "not an SSH address" in unused.sentence


def test_the_command_tells_it_too(project, capsys):
    Project.objects.update(git_url="ssh://git@git.example.org/acme/inspector.git")

    with pytest.raises(SystemExit):
        call_command("check_connections")

    assert "Deploy key of inspector (not set): fail." in capsys.readouterr().out
