"""django-q2's queue in the database, told of a task instead of asking five times a second.

Come here for how quickly a woken job begins and what an idle queue costs. Where notifications do
not arrive (a pooler between), the queue is looked at once in `PATIENCE` seconds.
"""

from django.db import connection
from django.utils import timezone
from django_q.brokers.orm import ORM

CHANNEL = "portal_queue"
PATIENCE = 1.0

# Only our own words stand in it, so nothing can be injected.
_PUT = f"""WITH task AS (
    INSERT INTO django_q_ormq (key, payload, lock) VALUES (%s, %s, %s) RETURNING id
) SELECT id, pg_notify('{CHANNEL}', '') FROM task"""  # noqa: S608


class Broker(ORM):
    """The queue: `enqueue` notifies with the transaction, `dequeue` waits for it."""

    heard: object = None  # the connection that listens; a new one has to be asked again

    def enqueue(self, task: str) -> int:
        """Put a task in, and tell whoever waits as soon as the transaction is there; one query."""
        with connection.cursor() as cursor:
            cursor.execute(_PUT, [self.list_key, task, timezone.now()])
            return int(cursor.fetchone()[0])

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Return the next task with its key; None when none came for a while."""
        self.get_connection()
        self._listen()
        if found := super().dequeue():
            return found
        self._listen()  # django-q2 may have replaced the connection while it looked
        for _ in connection.connection.notifies(timeout=PATIENCE, stop_after=1):
            pass
        return None

    def _listen(self) -> None:
        connection.ensure_connection()
        if self.heard is not connection.connection:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self.heard = connection.connection
