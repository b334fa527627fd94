"""The protection rules that both long-lived branches must have, compared with those they have."""

from dataclasses import dataclass

from django.conf import settings

from environments.github import Rules
from environments.github.protection import CLASSIC
from environments.models import Project
from portal.credentials import stored

PASS, FAIL, WAIT = "pass", "fail", "wait"


@dataclass(frozen=True)
class ProtectionRule:
    """One protection rule: its expected and actual value, in words. `state` is wait when it
    could not be read.
    """

    key: str
    rule: str
    wanted: str
    actual: str
    state: str


def body_for(project: Project, branch: str) -> dict[str, object]:
    """Return what is to protect `branch`, exactly as GitHub's PUT of a classic protection takes
    it.
    """
    reviews: dict[str, object] = {"required_approving_review_count": project.protected_approvals}
    if allowed := may_pass(project, branch):
        passing = {"users": [], "teams": [], "apps": sorted(allowed)}
        reviews["bypass_pull_request_allowances"] = passing
    return {
        "required_status_checks": {"strict": False, "checks": _checks(project, branch)},
        "enforce_admins": True,
        "required_pull_request_reviews": reviews,
        # Pull requests for everyone restrict pushes; lists exist for organisations only.
        "restrictions": None,
        "required_linear_history": False,
        "allow_force_pushes": False,
        "allow_deletions": False,
        "block_creations": False,
        "required_conversation_resolution": True,
        "lock_branch": False,
        "allow_fork_syncing": False,
    }


def _checks(project: Project, branch: str) -> list[dict[str, object]]:
    """Return the required checks; the portal's own only from its App, where it has one: others
    could post it too.

    Of the others GitHub itself picks the App that reported them last.
    """
    wanted, own = wanted_checks(project, branch), settings.STATUS_CONTEXT
    app = own_app(project) if own in wanted else None
    return [
        {"context": context, "app_id": app} if app and context == own else {"context": context}
        for context in sorted(wanted)
    ]


def own_app(project: Project) -> int | None:
    """Return the id of the App as which the portal speaks to GitHub for `project`; None where it
    uses a token. One query.
    """
    pasted = stored.effective(stored.GITHUB, project.slug)
    if pasted is not None:
        given = pasted.app_id if pasted.kind == stored.Kind.APP else ""
    else:
        given = "" if settings.GITHUB_TOKEN else settings.GITHUB_APP_ID
    return int(given) if given.strip().isdigit() else None


def wanted_checks(project: Project, branch: str) -> frozenset[str]:
    """Return the contexts that `branch` is to require: our own verdict on production's."""
    own = [settings.STATUS_CONTEXT] if branch == project.production_branch else []
    return frozenset([*project.protected_checks, *own])


def may_pass(project: Project, branch: str) -> frozenset[str]:
    """Return only the portal itself, and only where it fast-forwards."""
    return frozenset(
        [project.portal_app] if project.portal_app and branch == project.staging_branch else []
    )


def closed_to_portal(project: Project, rules: Rules) -> bool | None:
    """Return whether the portal cannot push to the branch, because of a demand for pull
    requests; None: not known.
    """
    if rules.closed_by is None:
        return None
    closed_by = rules.closed_by
    if CLASSIC in closed_by and rules.passing is None:
        return None
    by_role = own_app(project) is None and "administrators" in (
        rules.passing or ()
    )  # others cannot read that they may
    if by_role or project.portal_app.lower() in {
        account.lower() for account in rules.passing or ()
    }:
        closed_by -= {CLASSIC}
    return bool(closed_by)


def compared(project: Project, branch: str, rules: Rules) -> list[ProtectionRule]:
    """Return each rule of `branch`: what is expected, what GitHub has, and whether the two agree.

    A rule that could not be read does not agree.
    """
    approvals, checks, allowed = (
        project.protected_approvals,
        wanted_checks(project, branch),
        may_pass(project, branch),
    )
    enough = None if rules.approvals is None else rules.approvals >= approvals
    there = None if rules.checks is None else checks <= rules.checks
    nobody = None if rules.passing is None else rules.passing <= allowed
    return [
        _switch("pull_request", "Require a pull request", rules.pull_request, True),
        _line("approvals", "Required approvals", f"at least {approvals}", rules.approvals, enough),
        _line("checks", "Required checks", _list(checks), rules.checks, there),
        *_source(own_app(project), checks, rules),
        _switch("conversations", "Require conversation resolution", rules.conversations, True),
        _line("passing", "Bypass list", _list(allowed) or "none", rules.passing, nobody),
        _pushes(rules),
        _switch(
            "linear",
            "Linear history",
            rules.linear,
            False,
            ("demanded", "not demanded: it breaks the merge"),
        ),
        _switch(
            "force_pushes", "Force pushes", rules.force_pushes, False, ("allowed", "not allowed")
        ),
        _switch("deletions", "Deletion", rules.deletions, False, ("allowed", "not allowed")),
    ]


def _source(app: int | None, checks: frozenset[str], rules: Rules) -> list[ProtectionRule]:
    """Return that our own status counts from our App alone; without an App anybody who may post
    statuses can post it.
    """
    context = settings.STATUS_CONTEXT
    if app is None or context not in checks:
        return []
    from_us = None if rules.apps is None else (context, app) in rules.apps
    app_ids = sorted(app for name, app in rules.apps or () if name == context)
    actual = (
        None
        if rules.apps is None
        else ", ".join(f"App {app_id}" for app_id in app_ids) or "anybody"
    )
    return [_line("source", f"{context} is accepted from", f"App {app}", actual, from_us)]


def _pushes(rules: Rules) -> ProtectionRule:
    """Nobody pushes directly where pull requests are demanded of everyone, administrators
    included.
    """
    values = (
        rules.pull_request,
        None if rules.passing is None else "administrators" not in rules.passing,
    )
    closed = False if False in values else None if None in values else True
    return _switch("pushes", "Direct pushes", closed, True, ("closed", "open to some"))


def _switch(
    key: str, rule: str, is_: bool | None, wanted: bool, words: tuple[str, str] = ("yes", "no")
) -> ProtectionRule:
    message = words[0] if wanted else words[1]
    actual = "not known" if is_ is None else words[0] if is_ else words[1]
    return ProtectionRule(
        key, rule, message, actual, WAIT if is_ is None else PASS if is_ == wanted else FAIL
    )


def _line(key: str, rule: str, wanted: str, value: object, good: bool | None) -> ProtectionRule:
    if value is None:
        return ProtectionRule(key, rule, wanted, "not known", WAIT)
    actual = (_list(value) or "none") if isinstance(value, frozenset) else str(value)
    return ProtectionRule(key, rule, wanted, actual, PASS if good else FAIL)


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
