"""Several projects on one pair of stand-ins; many of them: `python -m tests.faults.restarts`."""

import pytest

from environments.clients import github_of, railway_of
from tests.faults.crowd import several_projects
from tests.faults.scene import world_of_its_own


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_each_project_is_answered_by_its_own_repository_and_railway_project(settings, tmp_path):
    with world_of_its_own(settings) as first, several_projects(first, tmp_path, 2) as (one, other):
        pushed = other.github.push_commit("staging", {"a.txt": "1"}, "Only here")

        heads = [github_of(world.project).branch_head("staging") for world in (one, other)]
        trees = [railway_of(w.project).project(w.project.railway_project_id) for w in (one, other)]

        assert heads[1] == pushed != heads[0]
        assert [tree.id for tree in trees] == [one.railway.project_id, other.railway.project_id]
        assert not {e.id for e in trees[0].environments} & {e.id for e in trees[1].environments}
