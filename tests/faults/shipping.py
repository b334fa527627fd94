"""A release made ready and promoted by people and a worker without its processes, while nothing breaks."""

from typing import Any


def ready(world: Any) -> Any:
    """A release whose every item before promotion is green."""
    from releases import actions, gates
    from releases.facts import facts_of

    project, alice = world.project, world.person("alice")
    world.work(lambda: project.branches.exclude(head="").count() == 2)
    world.work(lambda: project.environments.filter(kind__in=["staging", "production"]).count() == 2)
    release = actions.cut(project, actor=alice)
    world.work(lambda: (release.refresh_from_db(), release.collected and release.pull_number is not None)[1])
    run = actions.migrate_staging(release, actor=alice)
    world.work(lambda: (run.refresh_from_db(), not run.is_open)[1])
    for item in release.items.filter(phase="before", gate=""):
        actions.tick(item, actor=alice)
    world.work(lambda: gates.stand(facts_of(release.pk)).ready)
    return release


def promoted(world: Any, release: Any) -> Any:
    """The release in production, and the mirrors in step with that."""
    from releases import actions, gates
    from releases.facts import facts_of

    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: (release.refresh_from_db(), release.status == "verifying")[1])
    world.work(lambda: all(line.done for line in gates.stand(facts_of(release.pk)).after if line.gate))
    return release
