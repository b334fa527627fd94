"""Workers of two hosts, of which one is frozen in mid-step and another cut off from the database;
more of both, with networks of their own: `python -m tests.faults.hosts`.
"""

import random
import threading

import pytest

from tests.faults import hosts, kills
from tests.faults.network import is_write
from tests.faults.releasing import People
from tests.faults.scene import world_of_its_own


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_release_is_shipped_by_two_hosts_of_which_one_is_always_in_trouble(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(hosts, "LEASE", 1.0)
    monkeypatch.setattr(hosts, "FAULTS", ("frozen", "cut off"))
    with world_of_its_own(settings) as world, hosts.several(2, tmp_path, world, quick=True) as both:
        trouble = hosts.Trouble(both, 3, random.Random(7))
        thread = threading.Thread(target=trouble.run)
        people = People(world)
        thread.start()
        try:
            people.ship()
        finally:
            trouble.stopped.set()
            thread.join()
        found = kills.findings(world, people)

    assert sum(trouble.hits.values()) > 0
    assert hosts.doubled(hosts.writes_of(world)) == []
    assert not any(found.values()), found


@pytest.mark.parametrize(
    "request_, write",
    [
        (b"GET /repos/a/b HTTP/1.1\r\n\r\n", False),
        (b"PUT /repos/a/b/pulls/1/merge HTTP/1.1\r\n\r\n{}", True),
        (b'POST /graphql/v2 HTTP/1.1\r\n\r\n{"query": "query {me}"}', False),
        (b'POST /graphql/v2 HTTP/1.1\r\n\r\n{"query": "mutation {x}"}', True),
        (b"POST /acme/inspector.git/git-upload-pack HTTP/1.1\r\n\r\n", False),
    ],
)
def test_the_script_tells_a_write_from_a_look(request_, write):
    assert is_write(request_) is write


def test_the_script_finds_what_was_written_twice():
    merge = ("PUT inspector/pulls/#/merge", "/repos/acme/inspector/pulls/1/merge {}")
    green = ("POST inspector/statuses/#", "/statuses/a green")
    red = ("POST inspector/statuses/#", "/statuses/a red")

    assert hosts.doubled([merge, green, red, green]) == []
    assert len(hosts.doubled([merge, green, merge])) == 1
    assert len(hosts.doubled([green, green])) == 1
