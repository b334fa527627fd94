"""django-q2's queue in the database, told of a task instead of asking five times a second.

Come here for how quickly a woken job begins and what an idle queue costs. Where notifications do
not arrive (a pooler between), the queue is looked at once in `PATIENCE` seconds. Several workers
share one queue; each also has one of its own, for the canaries that only it may answer.
"""

from django.db import connection
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from portal.jobs import this_worker

CHANNEL = "portal_queue"
PATIENCE = 2.0

# Only our own words stand in them. Times are the database's, for the clocks of hosts differ.
_PUT = f"""WITH task AS (
    INSERT INTO django_q_ormq (key, payload, lock) VALUES (%s, %s, clock_timestamp()) RETURNING id
) SELECT id, pg_notify('{CHANNEL}', '') FROM task"""  # noqa: S608
_TAKE = """UPDATE django_q_ormq SET lock = clock_timestamp() + make_interval(secs => %s)
WHERE id = (
    SELECT id FROM django_q_ormq WHERE key IN (%s, %s) AND lock <= clock_timestamp()
    ORDER BY key = %s DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, payload"""


def own_queue() -> str:
    """Return the key of the tasks that only this worker takes, before all others."""
    return f"of {this_worker()}"[:100]


class Broker(ORM):
    """The queue: `enqueue` notifies with the transaction, `dequeue` waits for it."""

    heard: object = None  # the connection that listens; a new one has to be asked again

    def enqueue(self, task: str) -> int:
        """Put a task in, and tell whoever waits as soon as the transaction is there; one query."""
        with connection.cursor() as cursor:
            cursor.execute(_PUT, [self.list_key, task])
            return int(cursor.fetchone()[0])

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Return the next task with its key; None when none came for a while."""
        self.get_connection()
        self._listen()
        own = own_queue()
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [Conf.RETRY, own, self.list_key, own])
            if tasks := list(cursor.fetchall()):
                return tasks
        for _ in connection.connection.notifies(timeout=PATIENCE, stop_after=1):
            pass
        return None

    def _listen(self) -> None:
        connection.ensure_connection()
        if self.heard is not connection.connection:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self.heard = connection.connection
