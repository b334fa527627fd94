"""A release made ready and promoted by people and a worker without its processes, while nothing
breaks.
"""

from typing import Any


def ready(world: Any) -> Any:
    """A release whose every item before promotion is green."""
    from releases import gates
    from releases.checklist import actions as checklist_actions
    from releases.gates.context import facts_of
    from releases.lifecycle import actions as lifecycle_actions

    project, alice = world.project, world.person("alice")
    world.work(lambda: project.branches.exclude(head="").count() == 2)
    world.work(lambda: project.environments.filter(kind__in=["staging", "production"]).count() == 2)
    release = lifecycle_actions.cut(project, actor=alice)
    world.work(
        lambda: (release.refresh_from_db(), release.collected and release.pull_number is not None)[
            1
        ]
    )
    run = lifecycle_actions.migrate_staging(release, actor=alice)
    world.work(lambda: (run.refresh_from_db(), not run.is_open)[1])
    for item in release.items.filter(phase="before", gate=""):
        checklist_actions.tick(item, actor=alice)
    world.work(lambda: gates.readiness_of(facts_of(release.pk)).ready)
    return release


def promoted(world: Any, release: Any) -> Any:
    """The release in production, and the mirrors in step with that."""
    from releases import gates
    from releases.gates.context import facts_of
    from releases.promotion import actions as promotion_actions

    world.work(
        lambda: gates.readiness_of(facts_of(release.pk)).ready
    )  # the mirrors may have grown old meanwhile
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: (release.refresh_from_db(), release.status == "verifying")[1])
    world.work(
        lambda: all(
            line.done for line in gates.readiness_of(facts_of(release.pk)).after if line.gate
        )
    )
    return release
