"""What a restart, a kill and a stop leave behind."""

import json
import os
import signal
import socket
import subprocess
import sys

import httpx

from portal.sandbox.railway import RailwayStandIn

from .conftest import git, wait_for


def again(railway):
    """Another process's view: a fresh stand-in over the same directory."""
    return RailwayStandIn(
        railway.standin.world.path.parent,
        repository=railway.repository.bare,
        repository_name="acme/inspector",
        clock=railway.clock,
    )


def test_a_restart_keeps_ports_ids_deployments_and_what_was_under_way(railway):
    railway.push("Live")
    railway.settle()
    after = railway.push("Under way")
    address = railway.standin.address("backend", "production")
    railway.standin.stop()

    second = again(railway)
    try:
        railway.settle()
        page = httpx.get(f"{address}/health").json()
    finally:
        second.stop()

    assert second.address("backend", "production") == address
    assert second.project_id == railway.project
    assert page["commit"] == after


def test_a_port_that_was_taken_meanwhile_is_replaced(railway):
    railway.push()
    railway.settle()
    address = railway.standin.address("backend", "production")
    railway.standin.stop()
    thief = socket.socket()
    thief.bind(("127.0.0.1", int(address.rpartition(":")[2])))
    thief.listen()

    second = again(railway)
    try:
        moved = second.address("backend", "production")
        status = httpx.get(f"{moved}/health").status_code
    finally:
        second.stop()
        thief.close()

    assert moved != address
    assert status == 200


def test_a_push_while_it_was_away_is_deployed_at_its_return(railway):
    railway.push("Told")
    railway.standin.stop()
    missed = railway.repository.commit("Told to nobody")

    second = again(railway)
    latest = second.latest("backend", "production")
    second.stop()

    assert latest["meta"]["commitHash"] == missed


def test_stopping_closes_every_address(railway):
    address = railway.standin.address("backend", "production")

    railway.standin.stop()

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


KILLED = """
import sys
from pathlib import Path
from portal.sandbox.railway import RailwayStandIn
directory, repository, head = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
standin = RailwayStandIn(directory, repository=repository, repository_name="acme/inspector")
standin.add_environment("production")
standin.add_service("backend")
while True:
    print(standin.deploy("backend", "production", head, live=True), flush=True)
"""


def test_a_kill_in_mid_write_loses_nothing_that_was_answered(tmp_path, repository):
    head = git(repository.bare, "rev-parse", "main")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(repository.bare), head],
        stdout=subprocess.PIPE,
        text=True,
    )
    answered = [process.stdout.readline().strip() for _ in range(15)]
    os.kill(process.pid, signal.SIGKILL)
    answered += process.stdout.read().split()
    process.wait()

    state = json.loads((tmp_path / "killed" / "railway.json").read_text())

    # The last line may have been cut off in the pipe.
    assert {id for id in answered if len(id) == 36} <= set(state["deployments"])


def test_deployments_move_and_are_saved_without_anyone_asking(railway):
    railway.push()
    railway.settle()

    def on_disk():
        state = json.loads(railway.standin.world.path.read_text())
        return {row["status"] for row in state["deployments"].values()} == {"SUCCESS"}

    assert wait_for(on_disk)
