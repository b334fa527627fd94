"""What replaces each leftover of the old process, and how to retire it without a gap."""

from dataclasses import dataclass

from environments.runbook import kinds
from environments.runbook.read import CODE, DOCUMENT, STARTUP, WORKFLOW
from portal.outbound.pages import file_page
from releases.runbook.facts import RunbookFacts


@dataclass(frozen=True)
class Place:
    """Where it stands: `address` is its page on GitHub."""

    path: str
    line: int
    seen: str
    address: str


@dataclass(frozen=True)
class Retirement:
    """One kind of leftover: where it is, what replaces it, what comes first, and the steps.

    `first`: what must be true before anything is removed; empty: it can be retired now.
    """

    title: str
    places: list[Place]
    instead: str
    first: list[str]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class _Advice:
    title: str
    instead: str
    steps: tuple[str, ...]


_HANDS = "Take the production address of the database away from people and from CI."
_ADVICE: dict[tuple[str, str], _Advice] = {
    (kinds.PREVIEWS, ""): _Advice(
        "Workflows that make preview environments",
        "The page Previews. The portal makes pr-N, applies preview variables before the first"
        " deployment, comments the address and deletes it with the pull request.",
        (
            "Disable the workflow on GitHub (Actions, the workflow, Disable), so that no pull"
            " request gets two environments.",
            "Switch Previews on under Project settings.",
            "On the page Previews, adopt or delete the environments that the workflow made.",
            "Open a pull request and wait until its preview is live.",
            "Delete the file, then the Railway token among the secrets of GitHub Actions if nothing"
            " else uses it.",
        ),
    ),
    (kinds.SYNC, ""): _Advice(
        "Scripts that move staging",
        "The last step of each promotion. Between releases: the button Sync staging on the page"
        " Environments, or portalctl sync-staging. It fast-forwards and never forces.",
        (
            "Ship one release and see that its step Sync staging is done.",
            "Forbid force pushes to staging on the page Protections.",
            "Delete the script and what mentions it.",
        ),
    ),
    (kinds.TASK_LOG, ""): _Advice(
        "Scripts that start a task log",
        "The panel Task log of each release and finding, which everybody can read. For a file on"
        " your own machine: portalctl task-log start.",
        (
            "Keep the logs that you have: they stay in .task_logs on each machine.",
            "Tell people the new command: portalctl task-log start “what it is about”.",
            "Delete the script.",
        ),
    ),
    (kinds.MIGRATE, STARTUP): _Advice(
        "Migrations that run when the service starts",
        "Migrate staging on the release page, and the step Migrate of each promotion. Each replica"
        " runs this command now, before anybody has seen the plan.",
        (
            "Connect the database under Project settings and see its revision on Migrations.",
            "Remove the command in a release that brings no migration, so that only one thing"
            " changes.",
            "Ship the next release with a migration through the portal.",
            "Or keep it as Railway's pre-deploy command and choose the runner Railway: then the"
            " portal checks the result only.",
        ),
    ),
    (kinds.MIGRATE, WORKFLOW): _Advice(
        "Migrations in workflows",
        "Migrate staging on the release page, and the step Migrate of each promotion.",
        (
            "Keep it if it migrates only a test database of the same CI run.",
            "Otherwise ship one release with a migration through the portal first.",
            "Delete the step, then the database's address among the secrets of GitHub Actions.",
        ),
    ),
    (kinds.MIGRATE, CODE): _Advice(
        "Migrations in the application's code",
        "Migrate staging on the release page, and the step Migrate of each promotion.",
        (
            "Keep it if only tests or a developer's machine run it.",
            "Otherwise remove the call in a release that brings no migration.",
            "Ship the next release with a migration through the portal.",
        ),
    ),
    (kinds.MIGRATE, DOCUMENT): _Advice(
        "Pages that tell people to migrate",
        "Migrate staging on the release page, and the step Migrate of each promotion.",
        (
            "Keep what is about a developer's own database.",
            "Replace the rest by a link to the release page.",
            _HANDS,
        ),
    ),
    (kinds.MIGRATE, ""): _Advice(
        "Scripts that migrate",
        "Migrate staging on the release page, and the step Migrate of each promotion.",
        (
            "Keep it if it is for a developer's own database.",
            "Otherwise ship one release with a migration through the portal, then delete it.",
            _HANDS,
        ),
    ),
    (kinds.DEPLOY, ""): _Advice(
        "Commands that deploy",
        "Railway deploys main when the promotion merges. What railway up uploads has no commit, so"
        " the portal reports it as a finding.",
        (
            "Connect the service to the repository and its branch on Railway.",
            "Ship one release and see that Railway deployed it.",
            "Delete the command, then its Railway token.",
        ),
    ),
    (kinds.TOKEN, ""): _Advice(
        "Checks of a Railway token",
        "The page Connections tests each token and says what it can do. In a terminal:"
        " portalctl whoami.",
        ("Replace it by a link to Connections.", "Revoke tokens that only people used."),
    ),
}


def retirements(facts: RunbookFacts) -> list[Retirement]:
    """Return the kinds of leftovers that the repository holds, each with its places."""
    reading = facts.reading
    if reading is None:
        return []
    project = facts.project
    grouped: dict[tuple[str, str], list[Place]] = {}
    for leftover in reading.found:
        key = (
            leftover["kind"],
            leftover["place"] if (leftover["kind"], leftover["place"]) in _ADVICE else "",
        )
        address = file_page(project.read_as, reading.commit, leftover["path"], leftover["line"])
        place = Place(leftover["path"], leftover["line"], leftover["seen"], address)
        grouped.setdefault(key, []).append(place)
    return [
        Retirement(advice.title, places, advice.instead, _first(key[0], facts), advice.steps)
        for key, places in grouped.items()
        if (advice := _ADVICE.get(key))
    ]


def _first(kind: str, facts: RunbookFacts) -> list[str]:
    """Return what must be true before the old way may go."""
    if kind in (kinds.TASK_LOG, kinds.TOKEN):
        return []
    first = []
    if facts.project.watch_only:
        first.append("The project only watches; let the portal act first.")
    if kind == kinds.MIGRATE and not facts.databases:
        first.append("No database is connected.")
    if kind in (kinds.SYNC, kinds.MIGRATE, kinds.DEPLOY) and not facts.shipped:
        first.append("No release was shipped through the portal yet.")
    return first
