"""Which checks a branch requires, and what a commit lacks of them."""

from .rules import Rules, in_force
from .state import APPS, State, Viewer

GOOD = {"success", "neutral", "skipped"}


def required_checks(state: State, branch: str) -> dict[str, int | None]:
    """Return every context that some rule asks for, whoever asks, with the app it must come
    from.
    """
    wanted: dict[str, int | None] = {}
    for rules in in_force(state, branch, Viewer("")):
        wanted |= rules.checks
    return wanted


def required_statuses(state: State, branch: str) -> list[str]:
    """Return the required contexts that are reported as statuses, not as check runs."""
    runs = {check["name"] for check in state["checks"]}
    return [name for name in required_checks(state, branch) if name not in runs]


def app_of(login: str) -> int | None:
    """Return the App that a bot's login belongs to; None for a person, whose status comes from no
    App.
    """
    return next((app.id for app in APPS.values() if login == f"{app.slug}[bot]"), None)


def results(state: State, sha: str) -> list[tuple[str, int | None, str]]:
    """Return the newest check run and newest status per name: (context, app, `success`, `pending`
    or `failure`).
    """
    newest: dict[tuple[str, str, int | None], tuple[str, int | None, str]] = {}
    for check in state["checks"]:
        if check["head_sha"] == sha:
            word = "pending"
            if check["status"] == "completed":
                word = "success" if check["conclusion"] in GOOD else "failure"
            newest["run", check["name"], check["app_id"]] = (check["name"], check["app_id"], word)
    for status in state["statuses"]:
        if status["sha"] == sha:
            word = "failure" if status["state"] == "error" else status["state"]
            newest["status", status["context"], None] = (
                status["context"],
                app_of(status["user"]),
                word,
            )
    return list(newest.values())


def check_refusals(state: State, rules: Rules, sha: str) -> list[str]:
    """Return sentences about required checks that have not passed, in GitHub's words; none when all
    have.
    """
    words: dict[str, str] = {}
    for context, app_id in rules.checks.items():
        states = {
            state
            for name, app, state in results(state, sha)
            if name == context and (app_id in (None, -1) or app == app_id)
        }
        if states != {"success"}:
            words[context] = next((w for w in ("failure", "pending") if w in states), "expected")
    verbs = {"failure": "failing", "pending": "pending", "expected": "expected"}
    if len(words) == 1:
        ((context, word),) = words.items()
        return [f'Required status check "{context}" is {verbs[word]}.']
    if words:
        counts = [
            f"{list(words.values()).count(w)} {verbs[w]}" for w in verbs if w in words.values()
        ]
        if set(words.values()) == {"expected"}:
            return [f"{len(words)} of {len(rules.checks)} required status checks are expected."]
        sentence = f"{len(words)} of {len(rules.checks)} required status checks have not succeeded"
        return [f"{sentence}: {', '.join(counts)}."]
    return []
