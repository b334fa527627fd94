"""What every test may rely on."""

from collections.abc import Iterator

import pytest
from django.db.backends.base.operations import BaseDatabaseOperations

from portal import observed
from tests.chain import start_over


@pytest.fixture(autouse=True)
def nothing_was_observed() -> None:
    """What GitHub said about its limits in one test is no reason to wait in the next."""
    observed._noted.clear()


@pytest.fixture(autouse=True, scope="session")
def flush_may_empty_the_audit_chain() -> Iterator[None]:
    """Django empties every table after a transactional test; the chain refuses that, so it
    begins anew.
    """
    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_with_the_chain(self, sql_list):
        with start_over(self.connection):
            flush(self, sql_list)

    BaseDatabaseOperations.execute_sql_flush = flush_with_the_chain
    yield
    BaseDatabaseOperations.execute_sql_flush = flush
