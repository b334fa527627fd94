"""What GitHub will demand of a merge: the repository's settings, classic protection and rulesets in
one form.

Read from what everybody may see of a branch. What only an administrator is shown and this
credential is not is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from environments.github.answers import Required
from portal.outbound.parsing import (
    JsonObject,
    Malformed,
    field,
    get_path,
    nullable,
    optional,
    text,
    word,
)

MOST_RULES = 100
LIGHTER = "lighter"  # beside the rules that a row keeps: what the last reading said instead
# Rules that say nothing about a merge into the branch: they stand at a push, or when a branch is
# made or deleted.
SILENT = frozenset(
    {
        "branch_name_pattern",
        "creation",
        "deletion",
        "file_extension_restriction",
        "file_path_restriction",
        "max_file_path_length",
        "max_file_size",
        "max_ref_updates",
        "non_fast_forward",
        "tag",
        "tag_name_pattern",
        "workflow_updates",
    }
)
# Those that are read into fields of their own.
READ = frozenset(
    {
        "lock_branch",
        "merge_queue",
        "merge_queue_locked_ref",
        "pull_request",
        "required_deployments",
        "required_linear_history",
        "required_review_thread_resolution",
        "required_signatures",
        "required_status_checks",
        "update",
    }
)


@dataclass(frozen=True)
class MergeRules:
    """What a merge into one branch takes. `methods`: the merge methods that are left.

    `strict`, `locked` and `last_push` None: a classic protection is there, and this part of it is
    not shown.
    `others` are rules that nobody but GitHub can judge, in its words.
    """

    checks: tuple[Required, ...] = ()
    strict: bool | None = False
    approvals: int = 0
    code_owners: bool = False
    last_push: bool | None = False
    conversations: bool = False
    signatures: bool = False
    linear: bool = False
    queue: bool = False
    locked: bool | None = False
    deployments: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("merge", "squash", "rebase")
    pull_required: bool = False
    deletable: bool = True
    deletes_heads: bool = False  # of the repository: a merged branch goes

    def as_json(self) -> dict[str, object]:
        """For a row; `from_json` reads it again."""
        kept = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }
        return kept | {"checks": [[check.context, check.app_id] for check in self.checks]}


def from_json(kept: JsonObject) -> MergeRules:
    """Return what `as_json` wrote; fields that it did not know are as if nothing demanded them."""
    known: JsonObject = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept.items()
        if name in MergeRules.__dataclass_fields__
    }
    checks = tuple(Required(context, app_id) for context, app_id in kept.get("checks", []))
    return MergeRules(**(known | {"checks": checks}))


def is_doubted(kept: JsonObject | None) -> bool:
    """Return whether the last reading demanded less than a row's rules; one more is to say so."""
    return LIGHTER in (kept or {})


def read_merge_rules(ref: object, repository: object) -> MergeRules | None:
    """Return the rules of a branch out of the overview; None when not all are shown."""
    try:
        rows = field(field(ref, "rules", dict), "nodes", list)
        if len(rows) >= MOST_RULES:
            return None
        rules = _by_type(rows)
        # Null says that there is none; what is missing says nothing.
        update = nullable(ref, "refUpdateRule", dict)
        classic = nullable(ref, "branchProtectionRule", dict)
        return _together(rules, update, classic, repository)
    except Malformed:
        return None


def _by_type(rows: list[object]) -> dict[str, list[JsonObject]]:
    rules: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        rules.setdefault(word(field(row, "type", str)), []).append(
            optional(row, "parameters", dict) or {}
        )
    return rules


def _together(
    rules: dict[str, list[JsonObject]],
    update: JsonObject | None,
    classic: JsonObject | None,
    repository: object,
) -> MergeRules:
    pulls, statuses = rules.get("pull_request", []), rules.get("required_status_checks", [])
    settings = update or {}
    sources = (*pulls, settings)
    approvals = [optional(row, "requiredApprovingReviewCount", int) or 0 for row in sources]
    deployments = [
        name for row in rules.get("required_deployments", []) for name in _texts(row, DEPLOYMENTS)
    ]
    threads = "required_review_thread_resolution" in rules
    return MergeRules(
        checks=_checks(statuses, settings, classic),
        strict=_either(
            _any(statuses, "strictRequiredStatusChecksPolicy"),
            update,
            classic,
            "requiresStrictStatusChecks",
        ),
        approvals=max(approvals),
        code_owners=_any(pulls, "requireCodeOwnerReview")
        or _is(settings, "requiresCodeOwnerReviews"),
        last_push=_either(
            _any(pulls, "requireLastPushApproval"), update, classic, "requireLastPushApproval"
        ),
        conversations=threads
        or _any(pulls, "requiredReviewThreadResolution")
        or _is(settings, "requiresConversationResolution"),
        signatures="required_signatures" in rules or _is(settings, "requiresSignatures"),
        linear="required_linear_history" in rules or _is(settings, "requiresLinearHistory"),
        queue=bool({"merge_queue", "merge_queue_locked_ref"} & set(rules)),
        locked=_either(bool({"update", "lock_branch"} & set(rules)), update, classic, "lockBranch"),
        deployments=tuple(dict.fromkeys([*deployments, *_texts(classic or {}, DEPLOYMENTS)])),
        others=tuple(sorted(name for name in rules if name not in READ | SILENT)),
        methods=_methods(pulls, repository),
        pull_required=bool(pulls) or settings.get("requiredApprovingReviewCount") is not None,
        deletable="deletion" not in rules
        and (update is None or field(update, "allowsDeletions", bool)),
        deletes_heads=field(repository, "deleteBranchOnMerge", bool),
    )


DEPLOYMENTS = "requiredDeploymentEnvironments"


def _either(by_ruleset: bool, update: object, classic: object, name: str) -> bool | None:
    """Asked by a ruleset, or by the classic protection where that is shown; None: there is one,
    and it is not.
    """
    if by_ruleset:
        return True
    if classic is not None:
        return field(classic, name, bool)
    return False if update is None else None


def _any(rows: list[JsonObject], name: str) -> bool:
    return any(field(row, name, bool) for row in rows)


def _is(row: Mapping[str, object], name: str) -> bool:
    return bool(row) and field(row, name, bool)


def _texts(row: Mapping[str, object], name: str) -> list[str]:
    return [text(value) for value in optional(row, name, list) or []]


def _checks(
    statuses: list[JsonObject], update: JsonObject, classic: JsonObject | None
) -> tuple[Required, ...]:
    """Return every required check, with its App where one is named: then a nameless demand of the
    same name says nothing.
    """
    checks = {Required(name) for name in _texts(update, "requiredStatusCheckContexts")}
    pairs = [
        (check, optional(get_path(check, "app") or {}, "databaseId", int))
        for check in optional(classic or {}, "requiredStatusChecks", list) or []
    ]
    pairs += [
        (check, optional(check, "integrationId", int))
        for row in statuses
        for check in field(row, "requiredStatusChecks", list)
    ]
    checks |= {Required(text(field(check, "context", str)), app) for check, app in pairs}
    if any(not check.context for check in checks):
        raise Malformed("a required check has no name")
    bound = {check.context for check in checks if check.app_id is not None}
    kept = [check for check in checks if check.app_id is not None or check.context not in bound]
    return tuple(sorted(kept, key=lambda check: (check.context, check.app_id or 0)))


def _methods(pulls: list[JsonObject], repository: object) -> tuple[str, ...]:
    """Return the merge methods that the repository's settings and every ruleset leave."""
    names = {
        "merge": "mergeCommitAllowed",
        "squash": "squashMergeAllowed",
        "rebase": "rebaseMergeAllowed",
    }
    left = [method for method, name in names.items() if field(repository, name, bool)]
    for row in pulls:
        allowed = {word(method) for method in optional(row, "allowedMergeMethods", list) or names}
        left = [method for method in left if method in allowed]
    return tuple(left)
