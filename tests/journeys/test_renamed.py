"""A repository that was renamed on GitHub: read at once under its new name, written to once
people take that over.
"""

import pytest
from django.urls import reverse
from django.utils import timezone

from environments.models import Project, ServiceInstance
from environments.renaming.actions import took_over
from portal.configuration.actions import confirm_change
from portal.models.audit import AuditEvent
from portal.models.configuration import ConfigurationChange
from releases.lifecycle import actions as lifecycle_actions
from releases.promotion import actions as promotion_actions
from tests.factory import make_project
from tests.journeys.test_release import head, make_ready, prepare, readiness, reread
from tests.journeys.world import quick_world
from tests.reading import squeezed

pytestmark = pytest.mark.slow


def button(world, client, name: str):
    client.force_login(world.person("dave"))
    return client.post(
        reverse("environments:rename", args=[world.project.slug]), {"name": name}, follow=True
    )


def test_renamed_before_its_first_release_one_button_lets_it_ship(
    tmp_path, settings, client, transactional_db
):
    with quick_world(tmp_path, settings, shape=["strict-renamed"]) as world:
        world.work(lambda: world.project.branches.exclude(head="").count() == 2)
        world.work(
            lambda: (
                world.project.environments.filter(kind__in=["staging", "production"]).count() == 2
            )
        )
        release = lifecycle_actions.cut(world.project, actor=world.person("alice"))
        world.work(lambda: reread(release).collected != "")
        world.work(
            lambda: any(
                "is now called acme/signals" in one.result.sentence
                for one in readiness(release).missing
            )
        )
        client.force_login(world.person("dave"))
        page = squeezed(client.get(reverse("environments:protections")))

        button(world, client, "acme/signals")
        world.work(lambda: reread(release).pull_number is not None)
        make_ready(world, release)
        promotion_actions.promote(release, actor=world.person("alice"))
        world.work(lambda: reread(release).status == "verifying")

        assert "The repository is now called acme/signals" in page and "Use this name" in page
        project = Project.objects.get()
        assert (project.repository, project.renamed_to, project.former_names) == (
            "acme/signals",
            "",
            ["acme/inspector"],
        )
        assert head(world, "staging") == head(world, "main") == release.merge_commit
        assert set(ServiceInstance.objects.values_list("repository", flat=True)) == {"acme/signals"}
        assert AuditEvent.objects.filter(
            action="configuration.confirmed", actor_name="dave"
        ).exists()


def test_after_a_promotion_the_new_name_takes_two_people_and_another_name_is_refused(world, client):
    release = prepare(world)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")
    world.github.rename("signals")
    world.work(lambda: Project.objects.get().renamed_to == "acme/signals")

    refused = squeezed(button(world, client, "acme/else"))
    button(world, client, "acme/signals")
    waiting = ConfigurationChange.objects.get(state="waiting")
    before = Project.objects.get().repository
    confirm_change(waiting, actor=world.person("bob"))

    assert "is now called acme/signals" in refused
    assert (before, Project.objects.get().repository) == ("acme/inspector", "acme/signals")


@pytest.mark.django_db
def test_a_project_set_to_another_repository_keeps_nothing_of_the_old_name():
    project = make_project()
    Project.objects.update(
        repository="acme/other", former_names=["acme/older"], renamed_to="acme/elsewhere"
    )

    took_over(Project.objects.get(), project.repository, now=timezone.now())

    assert Project.objects.get().former_names == []
    assert not Project.objects.get().is_own(project.repository)
