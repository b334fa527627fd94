import pytest
from django_q.conf import Conf
from django_q.models import OrmQ

from portal.jobs import sweep
from portal.management.commands.worker import CANARY_EVERY, ECHO_WITHIN, Watch

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


def test_a_long_queue_that_moves_is_not_frozen(watch):
    OrmQ.objects.create(key="portal", payload="ahead")
    watch.is_frozen(ECHO_WITHIN - 1, NOBODY_BUSY)
    OrmQ.objects.filter(payload="ahead").delete()

    assert not watch.is_frozen(ECHO_WITHIN + 5, NOBODY_BUSY)
    assert watch.is_frozen(2 * ECHO_WITHIN + 5.1, NOBODY_BUSY)


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
