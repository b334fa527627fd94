import threading

import pytest
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ

from portal.jobs import WORKER_VARIABLE, broker, sweep
from portal.jobs.broker import Broker, own_queue
from portal.server import start_checks
from portal.server.worker import CANARY_EVERY, ECHO_WITHIN, Watch
from tests.ports import free_port

pytestmark = pytest.mark.django_db
NOBODY_BUSY = frozenset()
ALL_BUSY = frozenset(("releases.promotion", number) for number in range(Conf.WORKERS))


@pytest.fixture
def watch():
    """A watch whose canary left at second 0."""
    watch = Watch()
    assert not watch.is_frozen(0.0, NOBODY_BUSY)
    return watch


def test_a_canary_flies_through_the_queue(watch):
    [task] = OrmQ.objects.all()

    assert task.func() == "portal.jobs.sweep.canary"
    assert task.args() == (watch.token, watch.name)


def test_a_queue_that_stands_still_is_frozen_only_after_a_while(watch):
    assert not watch.is_frozen(ECHO_WITHIN, NOBODY_BUSY)
    assert watch.is_frozen(ECHO_WITHIN + 0.1, NOBODY_BUSY)


def test_an_echo_is_progress_and_the_next_canary_flies_later(watch):
    sweep.canary(watch.token)

    assert not watch.is_frozen(100.0, NOBODY_BUSY)
    assert watch.token == ""
    assert not watch.is_frozen(100.0 + CANARY_EVERY, NOBODY_BUSY)
    assert watch.token != ""


def test_a_canary_is_taken_before_everything_that_lies_in_a_long_queue():
    broker = Broker("portal")
    for number in range(3):
        broker.enqueue(f"ahead {number}")
    canary = Broker(own_queue()).enqueue("canary")

    taken = [broker.dequeue()[0] for _ in range(4)]

    assert taken[0] == (canary, "canary")
    assert [payload for _, payload in taken[1:]] == ["ahead 0", "ahead 1", "ahead 2"]


def test_a_canary_is_answered_by_its_own_worker_alone(watch, monkeypatch):
    """Else a frozen worker would seem alive for as long as another host's works."""
    monkeypatch.setenv(WORKER_VARIABLE, "another host 7")
    OrmQ.objects.create(key="portal", payload="for anybody", lock=timezone.now())

    [(_, payload)] = Broker("portal").dequeue()

    assert payload == "for anybody"
    monkeypatch.setattr(broker, "PATIENCE", 0.1)
    assert Broker("portal").dequeue() is None
    assert OrmQ.objects.filter(key=f"of {watch.name}").exists()
    assert watch.is_frozen(ECHO_WITHIN + 0.1, NOBODY_BUSY)


def test_workers_that_are_all_busy_are_not_taken_for_frozen(watch):
    assert not watch.is_frozen(10 * ECHO_WITHIN, ALL_BUSY)


def test_one_busy_worker_does_not_hide_that_the_others_are_frozen(watch):
    one = frozenset(list(ALL_BUSY)[:1])

    assert watch.is_frozen(ECHO_WITHIN + 0.1, one)


def test_workers_of_several_hosts_do_not_take_each_others_canary():
    """One row for all let the later canary overwrite the earlier, whose worker then thought its
    queue frozen.
    """
    here, there = Watch(name="7 here"), Watch(name="7 there")
    for one in (here, there):
        assert not one.is_frozen(0.0, NOBODY_BUSY)

    sweep.canary(here.token, here.name)
    sweep.canary(there.token, there.name)

    for one in (here, there):
        assert not one.is_frozen(ECHO_WITHIN + 0.1, NOBODY_BUSY)


@pytest.fixture
def away(transactional_db, monkeypatch):
    """The database listens at another port than the one that is asked; returns its own."""
    connection.close()
    own = connection.settings_dict["PORT"]
    monkeypatch.setitem(connection.settings_dict, "PORT", str(free_port()))
    yield own
    connection.close()


def test_a_database_that_is_still_starting_is_waited_for(away):
    timer = threading.Timer(0.5, lambda: connection.settings_dict.update(PORT=away))
    timer.start()

    start_checks.settle_or_leave()

    assert timer.finished.is_set() and connection.is_usable()
    timer.join()


def test_a_database_that_never_answers_ends_the_command_with_a_sentence(away, monkeypatch):
    monkeypatch.setattr(start_checks, "DATABASE_PATIENCE", 0.3)

    with pytest.raises(CommandError, match="The database did not answer for"):
        start_checks.settle_or_leave()
