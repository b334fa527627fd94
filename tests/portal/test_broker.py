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
def test_who_waits_for_a_task_listens_and_takes_what_another_connection_puts_in(queue, monkeypatch):
    monkeypatch.setattr(broker, "PATIENCE", 0.1)
    nothing = queue.dequeue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_listening_channels()")
        heard = cursor.fetchall()

    def put():
        try:
            with transaction.atomic():
                broker.Broker(list_key="portal").enqueue("later")
        finally:
            connection.close()

    thread = threading.Thread(target=put)
    thread.start()
    thread.join()

    assert nothing is None and heard == [(broker.CHANNEL,)]
    assert [task for _, task in queue.dequeue()] == ["later"]


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
