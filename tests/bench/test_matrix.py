"""The small count of the matrix bench."""

import pytest

from tests.bench.matrix import measure, missed
from tests.bench.test_pages import requests_keep_the_connection_of_the_test  # noqa: F401  (a fixture)


@pytest.mark.django_db
def test_the_matrix_is_one_call_to_railway_and_as_many_queries_for_many_as_for_few():
    few, many = measure(1, 2, rounds=1), measure(12, 10, rounds=1)

    assert missed(few, many) == []
