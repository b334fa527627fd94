"""Checks the variable rules against our rows. What no machine can see needs a sign-off."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from environments.finding_kinds.variables import ADDRESS, SAME, UNREADABLE
from environments.finding_kinds.wiring import MISSING, STRAY
from environments.findings.problem import Problem
from environments.models import (
    LONG_LIVED,
    Environment,
    Project,
    RuleKind,
    ServiceInstance,
    Variable,
    VariableRule,
)
from environments.variables.fingerprints import fingerprint, private_hosts, private_name

PUBLIC, PRIVATE = "RAILWAY_PUBLIC_DOMAIN", "RAILWAY_PRIVATE_DOMAIN"
SHARED = "shared"
RIGHT, WRONG, UNSEEN = "right", "wrong", "unseen"


@dataclass(frozen=True)
class Known:
    """The two long-lived environments as the rules see them, by kind."""

    environments: dict[str, Environment]
    instances: dict[tuple[str, str], ServiceInstance]  # (kind, service)
    variables: dict[tuple[str, str, str], Variable]  # (kind, service or "", name)

    def services(self, pattern: str) -> list[str]:
        """Return the services whose name fits."""
        return sorted({service for _, service in self.instances if fnmatchcase(service, pattern)})

    def names(self, service: str, pattern: str) -> list[str]:
        """Return the variables of a service whose name fits, in either environment."""
        own = {name for _, owner, name in self.variables if owner == service}
        return sorted(name for name in own if fnmatchcase(name, pattern))

    @property
    def readable(self) -> list[str]:
        """Return the kinds whose variables could all be read."""
        return [
            kind
            for kind, environment in self.environments.items()
            if not environment.variables_problem
        ]


@dataclass(frozen=True)
class Verdict:
    """What a rule finds now, and its state: fail, attest (cannot be seen), skipped (nobody has
    it), wait or pass.
    """

    rule: VariableRule
    state: str
    problems: tuple[Problem, ...]


def problems(
    project: Project, environments: Iterable[Environment], instances: Iterable[ServiceInstance]
) -> list[Problem]:
    """Return everything that a rule of the project finds wrong, or cannot see. Two queries.

    `environments`: those that are present; `instances`: of staging and production, with service.
    """
    problems_by_subject: dict[tuple[str, str], Problem] = {}
    rules = list(VariableRule.objects.filter(project=project))
    known = _known(environments, instances)
    if not rules:
        return []
    for rule in rules:
        for problem in RULES[rule.kind](rule, known):
            # Of two rules about one thing the one that is sure counts.
            if (problem.kind, problem.subject) not in problems_by_subject or not problem.attestable:
                problems_by_subject[problem.kind, problem.subject] = problem
    unreadable = [
        environment for environment in known.environments.values() if environment.variables_problem
    ]
    return list(problems_by_subject.values()) + [
        Problem(
            UNREADABLE,
            f"variables of {environment}",
            environment.variables_problem,
            attestable=True,
        )
        for environment in unreadable
    ]


def verdicts(project: Project) -> list[Verdict]:
    """Return every rule of the project with what it finds. Four queries."""
    environments = Environment.objects.present().filter(project=project)
    instances = ServiceInstance.objects.long_lived().filter(environment__project=project)
    known = _known(environments, instances.select_related("service"))
    return [_verdict(rule, known) for rule in VariableRule.objects.filter(project=project)]


def _verdict(rule: VariableRule, known: Known) -> Verdict:
    problems_of_rule = tuple(RULES[rule.kind](rule, known))
    if problems_of_rule:
        state = "attest" if all(problem.attestable for problem in problems_of_rule) else "fail"
    elif len(known.readable) < 2:
        state = "wait"
    else:
        state = "pass" if _asked(rule, known) else "skipped"
    return Verdict(rule, state, problems_of_rule)


def _known(environments: Iterable[Environment], instances: Iterable[ServiceInstance]) -> Known:
    rows = [row for row in environments if row.kind in LONG_LIVED]
    kinds = {row.pk: row.kind for row in rows}
    variables = Variable.objects.filter(environment__in=kinds).select_related("service")
    return Known(
        {row.kind: row for row in rows if row.variables_at},  # of the unread nothing is said
        {
            (kinds[instance.environment_id], instance.service.name): instance
            for instance in instances
            if instance.environment_id in kinds  # one that was new at the second of two queries
        },
        {
            (
                kinds[variable.environment_id],
                variable.service.name if variable.service else "",
                variable.name,
            ): variable
            for variable in variables
        },
    )


def _separate(rule: VariableRule, known: Known) -> Iterator[Problem]:
    allowed = {name.strip() for name in rule.allowed.split(",")}
    private = private_hosts(service for _, service in known.instances)
    for service, name in _asked(rule, known):
        followed = {kind: _followed(known, kind, service, name) for kind in known.environments}
        rows = [row for row in followed.values() if row is not None]
        if name in allowed or len(rows) < 2:
            continue
        subject, places = f"{name} of {service}", " and ".join(sorted(followed))
        if any(row.sealed for row in rows):
            unseen = f"it cannot be seen whether {places} have the same value"
            yield Problem(SAME, subject, f"{subject} is sealed, so {unseen}.", attestable=True)
        # The same words with a reference or a private host in them mean another thing in each
        # environment.
        elif rows[0].references or rows[0].host_fingerprint in private:
            continue
        elif rows[0].fingerprint and len({row.fingerprint for row in rows}) == 1:
            yield Problem(SAME, subject, f"{subject} has the same value in {places}.")


def _followed(known: Known, kind: str, service: str, name: str) -> Variable | None:
    """Return the variable, or the one that it is nothing but a reference to."""
    row, seen = known.variables.get((kind, service, name)), set()
    while row is not None and not row.sealed and row.references == [row.host_reference]:
        service, name = _target(service, row.references[0])
        following = known.variables.get((kind, service, name))
        if following is None or following.pk in seen:
            return row
        seen.add(following.pk)
        row = following
    return row


def _address(rule: VariableRule, known: Known) -> Iterator[Problem]:
    for service, name in _asked(rule, known):
        for kind in known.environments:
            row = known.variables.get((kind, service, name))
            if row is None:
                continue  # that it must be there is another rule
            state, words = _leads(row, kind, service, rule.target, known)
            if state != RIGHT:
                subject = f"{name} of {service} in {kind}"
                yield Problem(ADDRESS, subject, f"{subject} {words}.", attestable=state == UNSEEN)


def _leads(
    row: Variable, kind: str, service: str, target: str, known: Known, depth: int = 0
) -> tuple[str, str]:
    """Return whether an address leads to `target` in its own environment, and the words when it
    does not or is not seen.
    """
    should = f"it must lead to {target} in {kind}"
    if row.sealed:
        return UNSEEN, f"is sealed, so it cannot be seen where it leads; {should}"
    if row.host_fingerprint:
        return _literal(row, kind, target, known)
    if not row.host_reference and row.references:
        return UNSEEN, f"is put together of references; {should}"
    if not row.host_reference:
        return WRONG, "is no address"
    owner, name = _target(service, row.host_reference)
    if name in (PUBLIC, PRIVATE):
        right = owner == target and (kind, target) in known.instances
        return (RIGHT, "") if right else (WRONG, f"leads to {owner or 'nothing'}; {should}")
    following = known.variables.get((kind, owner, name))
    if following is not None and depth < 8:
        return _leads(following, kind, owner, target, known, depth + 1)
    if name.startswith("RAILWAY_"):
        return UNSEEN, f"refers to {row.host_reference}, which Railway fills in; {should}"
    return WRONG, f"refers to {row.host_reference}, which is not there; {should}"


def _literal(row: Variable, kind: str, target: str, known: Known) -> tuple[str, str]:
    for (where, service), instance in known.instances.items():
        names = [str(domain).lower() for domain in instance.domains]
        # A private name means the service of the own environment, whichever is looked at.
        names += [private_name(service)] if where == kind else []
        if row.host_fingerprint in map(fingerprint, names):
            if (where, service) == (kind, target):
                return RIGHT, ""
            return WRONG, f"leads to {service} in {where}, not to {target} in {kind}"
    return WRONG, f"leads to no address of {target} in {kind}"


def _target(service: str, reference: str) -> tuple[str, str]:
    """Return (Service or "" for the shared ones, name) of what a reference names; without a service
    it is the own one.
    """
    owner, dot, name = reference.rpartition(".")
    return ("" if owner == SHARED else owner) if dot else service, name


def _present(rule: VariableRule, known: Known) -> Iterator[Problem]:
    for service, name in _asked(rule, known):
        places = [kind for kind in known.readable if (kind, service) in known.instances]
        lacking = [kind for kind in places if (kind, service, name) not in known.variables]
        for kind in lacking if len(lacking) < len(places) else []:
            there = ", ".join(sorted(set(places) - set(lacking)))
            message = f"{name} of {service} is set in {there} but not in {kind}."
            yield Problem(MISSING, f"{name} of {service} in {kind}", message)


def _only(rule: VariableRule, known: Known) -> Iterator[Problem]:
    for service, name in _asked(rule, known):
        for kind in known.environments:
            if kind != rule.where and (kind, service, name) in known.variables:
                message = f"{name} of {service} belongs in {rule.where} only, and is set in {kind}."
                yield Problem(STRAY, f"{name} of {service} in {kind}", message)


def _asked(rule: VariableRule, known: Known) -> list[tuple[str, str]]:
    """Return the services and names that a rule asks about, as far as anybody has them."""
    return [
        (service, name)
        for service in known.services(rule.service)
        for name in known.names(service, rule.name)
    ]


RULES: dict[str, Callable[[VariableRule, Known], Iterator[Problem]]] = {
    RuleKind.SEPARATE: _separate,
    RuleKind.ADDRESS: _address,
    RuleKind.PRESENT: _present,
    RuleKind.ONLY: _only,
}
