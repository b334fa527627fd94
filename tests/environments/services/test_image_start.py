"""A Dockerfile, a Procfile or a script that upgrades a database is found, and executes nothing."""

import subprocess

import pytest

from environments.git.repository import Mirror
from environments.models import ServiceInstance
from environments.services.image_start import MOST_BYTES, migrates

SCRIPT = "#!/bin/sh\nset -e\nalembic -c alembic.ini upgrade head\nexec uvicorn app\n"
DOCKER = "FROM python\nCOPY . /app\n"


def found(tmp_path, files, root="", **values) -> bool:
    """Whether a commit with these files upgrades a database at its start."""
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def git(*words):
        command = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    return migrates(Mirror(tmp_path / ".git"), git("rev-parse", "HEAD"), root, **values)


@pytest.mark.parametrize(
    ("files", "values", "runs"),
    [
        ({"Dockerfile": f'{DOCKER}CMD ["sh", "-c", "alembic upgrade head && uvicorn app"]'}, {}, 1),
        ({"Dockerfile": f'{DOCKER}CMD ["flask", "db", "upgrade"]'}, {}, 1),
        ({"Dockerfile": f"{DOCKER}CMD alembic \\\n  upgrade head"}, {}, 1),
        ({"Dockerfile": f"{DOCKER}CMD /app/scripts/start.sh", "scripts/start.sh": SCRIPT}, {}, 1),
        ({"Dockerfile": f'{DOCKER}ENTRYPOINT ["/entry.sh"]', "docker/entry.sh": SCRIPT}, {}, 1),
        ({"Dockerfile": f"{DOCKER}CMD bin/start", "bin/start": SCRIPT}, {}, 1),
        ({"Dockerfile": f"{DOCKER}CMD ./a.sh", "a.sh": "exec ./b.sh", "b.sh": SCRIPT}, {}, 1),
        ({"Procfile": "web: alembic upgrade head && gunicorn app"}, {}, 1),
        ({"api/Dockerfile": f"{DOCKER}CMD alembic upgrade head"}, {"root": "api"}, 1),
        (
            {"Dockerfile": DOCKER, "ops/api.docker": f"{DOCKER}CMD alembic upgrade head"},
            {"dockerfile": "/ops/api.docker"},
            1,
        ),
        ({"start.sh": SCRIPT}, {"command": "bash start.sh"}, 1),
        ({"Dockerfile": f"{DOCKER}CMD alembic upgrade head"}, {"command": "uvicorn app"}, 0),
        ({"Dockerfile": f"{DOCKER}CMD uvicorn app", "scripts/start.sh": SCRIPT}, {}, 0),
        ({"Dockerfile": f"{DOCKER}CMD alembic upgrade head\nCMD uvicorn app"}, {}, 0),
        ({"Dockerfile": f"{DOCKER}CMD alembic upgrade head\nFROM python\nCMD uvicorn app"}, {}, 0),
        ({"Dockerfile": f"{DOCKER}RUN alembic upgrade head --sql\nCMD uvicorn app"}, {}, 0),
        ({"Dockerfile": f"{DOCKER}CMD ./a.sh", "a.sh": "# alembic upgrade head\nuvicorn"}, {}, 0),
        ({"Dockerfile": f"{DOCKER}CMD ./a.sh", "a.sh": "alembic check\nuvicorn"}, {}, 0),
        ({"Dockerfile": f"{DOCKER}CMD ./a.sh", "a.sh": "./a.sh"}, {}, 0),
        ({"Dockerfile": f"{DOCKER}CMD ./a.sh", "a.sh": SCRIPT + "#" * MOST_BYTES}, {}, 0),
        ({"README.md": "alembic upgrade head"}, {}, 0),
    ],
)
def test_what_the_image_starts_is_read_and_what_its_scripts_do(tmp_path, files, values, runs):
    assert found(tmp_path, files, **values) is bool(runs)


@pytest.mark.parametrize(
    ("on_railway", "before", "kept", "now", "coming"),
    [
        ("unknown", "no", {"image": "start"}, "start", "start"),
        ("unknown", "no", {"image": "start", "coming": "3f2", "coming_image": ""}, "start", None),
        ("unknown", "no", {"image": "", "coming": "3f2", "coming_image": "start"}, None, "start"),
        ("no", "no", {"image": "start", "coming": "3f2", "coming_image": "start"}, "no", "no"),
    ],
)
def test_the_image_counts_unless_a_start_command_takes_its_place(
    on_railway, before, kept, now, coming
):
    row = ServiceInstance(at_start=on_railway, at_start_before=before, in_repository=kept)

    assert row.runs_alembic == (now or "unknown")
    assert row.will_run_alembic == (coming or "unknown")
