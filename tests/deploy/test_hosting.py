"""What is said about hosting holds: commands exist, files parse, one list of variables, keys are
shared or refused.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
HOSTING = (ROOT / "docs/hosting.md").read_text()


def shell_lines(text):
    """Every line of the shell blocks, and every inline `python manage.py …`."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.splitlines()] + re.findall(
        r"`(python manage.py [^`]+)`", text
    )


def test_every_management_command_in_the_page_exists_with_its_options():
    found = [
        line.partition("manage.py ")[2] for line in shell_lines(HOSTING) if "manage.py " in line
    ]

    for line in found:
        name, *arguments = shlex.split(line, comments=True)
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)
    assert {line.split()[0] for line in found} >= {"web", "worker", "migrate", "createsuperuser"}


def test_every_file_that_the_page_names_is_there():
    named = set(re.findall(r"[\w./-]+\.(?:service|json|yaml|example|lock|md)\b", HOSTING))

    missing = [
        one
        for one in named
        if not one.startswith("/")
        and not (ROOT / one).exists()
        and not (ROOT / "docs" / one).exists()
        and "etc/" not in one
    ]
    assert missing == []


def test_every_variable_of_the_page_is_explained_and_read():
    table = HOSTING.partition("## Variables")[2].partition("## On Railway")[0]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", table))
    example = (ROOT / ".env.example").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "portal").rglob("*.py"))

    assert len(named) > 12
    assert [name for name in named if not re.search(rf"^# ?{name}=", example, re.M)] == []
    assert [name for name in named if f'"{name}"' not in sources] == []


def test_every_variable_that_settings_read_is_in_the_example():
    read = set(
        re.findall(
            r'(?:environ\.get|text|number|flag|items)\("([A-Z_]+)"',
            (ROOT / "portal/settings.py").read_text(),
        )
    )
    example = (ROOT / ".env.example").read_text()

    # The platform's own, and two that only tests turn.
    left_out = {"RAILWAY_PUBLIC_DOMAIN", "PREVIEW_PAUSE_SECONDS", "PREVIEW_PATIENCE_SECONDS"}
    assert (
        sorted(name for name in read - left_out if not re.search(rf"^# ?{name}=", example, re.M))
        == []
    )


def test_railway_compose_and_systemd_start_what_the_page_says():
    web = json.loads((ROOT / "railway.json").read_text())["deploy"]
    worker = json.loads((ROOT / "deploy/railway.worker.json").read_text())["deploy"]
    compose = YAML(typ="safe").load(ROOT / "compose.yaml")

    # Railway takes one pre-deploy command, and runs a start command without a shell.
    assert web["preDeployCommand"] == ["python manage.py migrate"]
    assert (web["startCommand"], worker["startCommand"]) == (
        "python manage.py web",
        "python manage.py worker",
    )
    assert web["healthcheckPath"] == "/health/ready" and "healthcheckPath" not in worker
    for line in (
        *web["preDeployCommand"],
        web["startCommand"],
        worker["startCommand"],
        web["healthcheckPath"],
    ):
        assert f"`{line}`" in HOSTING
    for name in ("web", "worker", "migrate"):
        assert compose["services"][name]["command"] == ["python", "manage.py", name]
    assert compose["services"]["web"]["ports"] == ["127.0.0.1:8000:8000"]
    for name in ("web", "worker"):
        unit = (ROOT / f"deploy/systemd/release-portal-{name}.service").read_text()
        assert re.search(
            rf"^ExecStart=/opt/release-portal/.venv/bin/python manage.py {name}\b", unit, re.M
        )


def test_web_and_worker_are_two_users_with_a_directory_each():
    units = [
        (ROOT / f"deploy/systemd/release-portal-{name}.service").read_text()
        for name in ("web", "worker")
    ]
    found = [
        {
            name: re.search(rf"{name}=(\S+)", unit)[1]
            for name in ("User", "StateDirectory", "VAR_DIR")
        }
        for unit in units
    ]

    for name in found[0]:
        assert found[0][name] != found[1][name]
    for unit in found:
        assert unit["VAR_DIR"] == f"/var/lib/{unit['StateDirectory']}"
        assert f"useradd --system --home-dir /opt/release-portal {unit['User']}\n" in HOSTING


def test_compose_is_what_its_specification_allows():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            "compose.yaml",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine"
)
@pytest.mark.parametrize("name", ["web", "worker"])
def test_units_are_what_systemd_reads(name, tmp_path):
    unit = (ROOT / f"deploy/systemd/release-portal-{name}.service").read_text()
    here = unit.replace(
        "/opt/release-portal/.venv/bin/python", sys.executable
    )  # which must exist to be verified
    path = tmp_path / f"release-portal-{name}.service"
    path.write_text(here.replace("/etc/release-portal.env", str(tmp_path / "env")))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True
    )

    ours = [line for line in done.stderr.splitlines() if "release-portal" in line]
    assert ours == [], done.stderr


def test_the_image_takes_everything_that_is_imported_and_nothing_private():
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.+) (\S+)$", dockerfile, re.M)
    sources = {name for names, _ in copied for name in names.split()}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert sources >= {
        "manage.py",
        "portal",
        "environments",
        "releases",
        "templates",
        "requirements.lock",
    }
    assert all((ROOT / name).exists() for name in sources)
    assert ignored[0] == "*" and {f"!{name}" for name in sources} == {
        one for one in ignored if one.startswith("!")
    }
    assert re.search(r"--uid 10001 .*(?s:.*)^USER 10001$", dockerfile, re.M) and re.search(
        r'^CMD \["python", "manage.py", "web"\]', dockerfile, re.M
    )
    assert re.match(r"3\.1[2-9]", re.search(r"FROM python:([\d.]+)", dockerfile)[1])


def run(arguments, var, **settings):
    env = (
        os.environ
        | {"PORTAL_VAR_DIR": str(var), "PORTAL_ENV_FILE": os.devnull, "SANDBOX": "0"}
        | settings
    )
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_service_with_another_key_says_so_and_does_not_start(tmp_path, migrated_data_in):
    """On a database of its own, as two services of one portal that were given different keys."""
    from portal.server.embedded_postgres import start
    from tests.ports import free_port

    migrated_data_in(tmp_path / "postgres")
    server = start(tmp_path / "postgres", fsync=False)
    try:
        given = {"DATABASE_URL": server.url, "SECRET_KEY": "first" * 10}
        settled = [
            "shell",
            "--verbosity=0",
            "-c",
            "from portal.modes import settle; settle(sandbox=False)",
        ]
        assert run(settled, tmp_path / "a", **given).returncode == 0

        for arguments in (["worker"], ["web", "--host=127.0.0.1", f"--port={free_port()}"]):
            for other in ({"SECRET_KEY": "other" * 10}, {"SECRET_KEY": ""}):
                done = run(arguments, tmp_path / "b", **(given | other))
                assert done.returncode == 1 and "set the same SECRET_KEY" in done.stderr, (
                    done.stderr
                )
    finally:
        server.stop()
