import pytest

from tests.journeys.world import quick_world


@pytest.fixture
def world(tmp_path, settings, db):
    """The stand-ins, the target databases, four people and a connected project."""
    with quick_world(tmp_path, settings) as world:
        yield world
