"""`manage.py sandbox`, started as people start it: another process, told apart by its one line."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest
from django.core.management import CommandError

from portal.sandbox import databases
from portal.sandbox.stand_ins import Sandbox

from .conftest import TOKEN, git, wait_for
from .test_databases import revision

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
TREE = """query($id: String!) { project(id: $id) { name environments { edges { node { name
  deploymentTriggers { edges { node { branch } } }
  serviceInstances { edges { node { serviceName rootDirectory domains { serviceDomains { domain } }
    latestDeployment { status meta } } } } } } } } }"""


@pytest.fixture
def start(tmp_path):
    """Starts the command over one directory; stops whatever is left, and its databases, at the
    end.
    """
    directory, processes = tmp_path / "sandbox", []

    def start(*arguments, under_a_shell=False):
        command = [
            sys.executable,
            "manage.py",
            "sandbox",
            "--directory",
            str(directory),
            *arguments,
        ]
        if (
            under_a_shell
        ):  # a parent to be killed; `wait` keeps bash from becoming the command itself
            command = ["bash", "-c", shlex.join(command) + " & wait"]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        line = process.stdout.readline()
        return process, json.loads(line) if line else process.stderr.read()

    yield start
    for process in processes:
        process.kill()
        process.wait()
    for name in planned(directory).get("databases", {}).values():
        databases.drop(os.environ["DATABASE_URL"], name)


def is_gone(url):
    try:
        return httpx.get(url, timeout=1) is None
    except httpx.TransportError:
        return True


def planned(directory):
    path = directory / "sandbox.json"
    return json.loads(path.read_text()) if path.exists() else {}


def tree(ready):
    body = {"query": TREE, "variables": {"id": ready["project"]}}
    answer = httpx.post(
        ready["railway"], json=body, headers={"Authorization": f"Bearer {TOKEN}"}
    ).json()
    return {
        (edge["node"]["name"], instance["node"]["serviceName"]): instance["node"]
        for edge in answer["data"]["project"]["environments"]["edges"]
        for instance in edge["node"]["serviceInstances"]["edges"]
    }


def health(instance):
    domain = instance["domains"]["serviceDomains"][0]["domain"]
    return httpx.get(f"http://{domain}/health").json()


def target(service, environment, ready):
    body = {
        "query": (
            """query($p: String!) { project(id: $p) { environments { edges { node { id name
            projectId
          serviceInstances { edges { node { serviceId serviceName } } } } } } } }"""
        ),
        "variables": {"p": ready["project"]},
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    edges = httpx.post(ready["railway"], json=body, headers=headers).json()["data"]["project"][
        "environments"
    ]
    found = next(edge["node"] for edge in edges["edges"] if edge["node"]["name"] == environment)
    instances = [edge["node"] for edge in found["serviceInstances"]["edges"]]
    service_id = next(row["serviceId"] for row in instances if row["serviceName"] == service)
    body = {
        "query": (
            """query($p: String!, $e: String!, $s: String!) {
          variables(projectId: $p, environmentId: $e, serviceId: $s) }"""
        ),
        "variables": {"p": ready["project"], "e": found["id"], "s": service_id},
    }
    return httpx.post(ready["railway"], json=body, headers=headers).json()["data"]["variables"]


def test_the_sample_is_served_whole_survives_a_kill_and_ends_with_its_parent(start):
    process, ready = start()
    before = tree(ready)
    heads = {
        name: databases.revisions(target("backend", name, ready)["DATABASE_URL"])
        for name in ("staging", "production")
    }
    process.send_signal(signal.SIGKILL)
    process.wait()

    shell, again = start(under_a_shell=True)
    after = tree(again)
    shell.kill()

    assert ready["ready"] is True and ready["repository"] == "acme/inspector"
    assert set(before) == {
        (e, s) for e in ("production", "staging") for s in ("backend", "frontend")
    }
    assert {row["latestDeployment"]["status"] for row in before.values()} == {"SUCCESS"}
    assert before["staging", "backend"]["rootDirectory"] == "/backend"
    assert all(len(revisions) == 1 for revisions in heads.values())
    assert heads["staging"] != heads["production"]
    assert (again, after) == (ready, before)
    assert wait_for(lambda: is_gone(ready["github"]))


def test_any_repository_is_served_and_a_push_over_git_goes_live(start, repository, tmp_path):
    revision(repository, "a1", folder="db/alembic/versions")
    git(repository.work, "checkout", "-q", "-B", "next", "main")
    git(repository.work, "push", "-q", "origin", "next")
    revision(repository, "b2", "a1", branch="next")

    _, ready = start(
        *("--repository", str(repository.work), "--staging", "next", "--production", "main"),
        *("--alembic", "db/alembic"),
    )
    variables = target("backend", "staging", ready)
    address = ready["git"].removeprefix("http://")
    clone = tmp_path / "clone"
    url = f"http://x:sandbox-admin-token@{address}/{ready['repository']}.git"
    subprocess.run(["git", "clone", "-q", "-b", "staging", url, str(clone)], check=True)
    git(clone, "commit", "-q", "--allow-empty", "-m", "Pushed")
    git(clone, "push", "-q", "origin", "staging")
    pushed = git(clone, "rev-parse", "HEAD")

    assert ready["repository"] == "acme/work"
    assert databases.revisions(variables["DATABASE_URL"]) == ["b2"]
    assert variables["STRIPE_KEY"] is None
    assert wait_for(lambda: health(tree(ready)["staging", "backend"])["commit"] == pushed, 10)


def test_what_it_cannot_do_is_one_sentence(tmp_path):
    taken = int(psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])["port"])

    def refusal(**more):
        options = {
            "directory": tmp_path / "sandbox",
            "repository": None,
            "github_port": 0,
            "railway_port": 0,
        }
        with pytest.raises(CommandError) as caught:
            Sandbox(options | {"staging": "staging", "production": "main", "alembic": None} | more)
        return str(caught.value)

    sentence = f"Port {taken} is taken; name another one or stop what uses it."
    assert refusal(github_port=taken) == refusal(railway_port=taken) == sentence
    nowhere = "The repository /nowhere has no branch or commit 'main'."
    assert refusal(repository=Path("/nowhere")) == nowhere


def test_it_serves_a_shape_under_its_names_and_keeps_it_until_the_directory_is_gone(start):
    _, ready = start("--shape", "other-names", "--shape", "databases")
    seen = tree(ready)

    assert (ready["staging"], ready["production"]) == ("release/next", "trunk")
    assert ready["settings"]["production_environment"] == "live eu"
    assert {place for place, _ in seen} == {"develop", "Live EU"}
    assert seen["Live EU", "Postgres"]["latestDeployment"]["meta"]["image"].startswith("ghcr.io/")
    assert "already has other-names, databases" in start("--shape", "uploaded")[1]
    assert (
        "There is no shape 'odd'" in start("--directory", f"{ROOT}/var/never", "--shape", "odd")[1]
    )
