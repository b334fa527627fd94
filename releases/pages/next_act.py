"""The one thing to do about a check that fails, where it is done on another page. No queries."""

from collections.abc import Iterable
from datetime import timedelta

from django.urls import reverse

from portal.outbound.pages import pull_page
from releases import gates
from releases.gates.context import Facts

ON_GITHUB = frozenset({"promotion_open", "ci_green", "merge_allowed"})
ON_RAILWAY = frozenset(
    {"staging_healthy", "staging_smoked", "environments_coherent", "production_live"}
)
SILENT = timedelta(minutes=10)


def on_github(facts: Facts, missing: Iterable[gates.ChecklistLine]) -> tuple[str, str]:
    """Return label and address of the pull request where what fails there is fixed, or two empty
    strings.
    """
    number = facts.release.pull_number
    if not number or not _fails(missing, ON_GITHUB):
        return "", ""
    pull = facts.promotion_pull
    known = pull.url if pull else ""
    return f"Open #{number} on GitHub", known or pull_page(facts.project.repository, number)


def on_railway(facts: Facts, missing: Iterable[gates.ChecklistLine]) -> tuple[str, str]:
    """Return label and address of the page on which a service is repaired, or two empty strings."""
    if not _fails(missing, ON_RAILWAY):
        return "", ""
    address = reverse("environments:environments")
    return "Open Environments", f"{address}?project={facts.project.slug}#findings"


def on_board(facts: Facts, missing: Iterable[gates.ChecklistLine]) -> tuple[str, str]:
    """Return label and address of the board's card of a frozen project, or two empty strings."""
    if not _fails(missing, frozenset({"not_frozen"})):
        return "", ""
    return "Show the freeze", f"{reverse('releases:board')}#project-{facts.project.slug}"


def unanswered(facts: Facts) -> tuple[str, str]:
    """Return label and address of the page that says why nothing is read, or two empty strings."""
    if facts.github_problem or facts.railway_problem:
        return "Open Connections", reverse("environments:connections")
    read_at = facts.railway_seen_at
    if read_at is not None and facts.now - read_at > SILENT:
        return "Open Status", reverse("portal:status")
    return "", ""


def _fails(missing: Iterable[gates.ChecklistLine], names: frozenset[str]) -> bool:
    return any(line.gate in names and line.result.state == gates.FAIL for line in missing)
