import pytest

from tests.journeys.world import running_world


@pytest.fixture
def world(tmp_path, settings, transactional_db):
    """The stand-ins, the target databases, four people and a connected project."""
    with running_world(tmp_path, settings) as world:
        yield world
