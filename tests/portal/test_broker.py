"""The queue is told of a task: it waits without asking, and does not sleep over one."""

import threading
import time

import pytest
from django.db import connection, transaction
from django_q.models import OrmQ

from portal.jobs import broker


@pytest.fixture
def queue():
    return broker.Broker(list_key="portal")


@pytest.mark.django_db(transaction=True)
def test_a_task_that_is_put_in_wakes_the_queue_at_once(queue, monkeypatch):
    monkeypatch.setattr(broker, "PATIENCE", 20.0)
    began = time.monotonic()

    def put():
        time.sleep(0.5)
        try:
            with transaction.atomic():
                broker.Broker(list_key="portal").enqueue("later")
        finally:
            connection.close()

    thread = threading.Thread(target=put)
    thread.start()
    first = queue.dequeue()
    waited = time.monotonic() - began
    second = queue.dequeue()
    thread.join()

    assert first is None and waited < 15
    assert [task for _, task in second] == ["later"]


@pytest.mark.django_db(transaction=True)
def test_what_lies_in_the_queue_is_taken_without_waiting_and_by_one_alone(queue):
    pk = queue.enqueue("now")

    taken = queue.dequeue()

    assert taken == [(pk, "now")]
    other = broker.Broker(list_key="portal")
    began = time.monotonic()
    assert other.dequeue() is None and time.monotonic() - began >= broker.PATIENCE * 0.9


@pytest.mark.django_db(transaction=True)
def test_a_task_of_a_transaction_that_was_undone_was_never_there(queue):
    with pytest.raises(RuntimeError), transaction.atomic():
        queue.enqueue("never")
        raise RuntimeError

    assert not OrmQ.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_queue_whose_connections_do_not_last_still_waits(queue, monkeypatch):
    """Else the worker would ask, and connect, as fast as it can."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    connection.close()
    began = time.monotonic()

    assert queue.dequeue() is None and time.monotonic() - began >= broker.PATIENCE * 0.9
    connection.close()
