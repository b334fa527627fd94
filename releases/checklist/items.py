"""The shipped checklist, the one each project makes of it, and how a release copies that."""

from collections.abc import Iterable, Sequence
from itertools import chain, count

from environments.models import Project
from releases.models.checklist import (
    ChecklistItem,
    ChecklistTemplate,
    ChecklistTemplateItem,
    ItemText,
    Phase,
)
from releases.models.releases import Release, ReleaseKind

DEFAULT_NAMES = {ReleaseKind.NORMAL: "The team's runbook", ReleaseKind.HOTFIX: "Hotfix"}
KEY_PAGES = "Key pages verified in production"
BEFORE, AFTER, ALWAYS, MIGRATIONS = Phase.BEFORE, Phase.AFTER, "always", "migrations"
_LIVE = "Production is live at the merge commit on every service"
# text, gate (empty: a person ticks), phase, condition, link (relative ones lie on production's
# frontend)
_IN_PRODUCTION = (
    (_LIVE, "production_live", AFTER, ALWAYS, ""),
    ("Production's database is at head", "production_at_head", AFTER, MIGRATIONS, ""),
    ("Smoke tests are green", "smoke_green", AFTER, ALWAYS, ""),
)
DEFAULT_ITEMS = (
    ("Staging is healthy at the candidate", "staging_healthy", BEFORE, ALWAYS, ""),
    ("The promotion pull request is open", "promotion_open", BEFORE, ALWAYS, ""),
    ("CI is green", "ci_green", BEFORE, ALWAYS, ""),
    ("Migrations: none, or applied in staging and soaked", "migrations_ready", BEFORE, ALWAYS, ""),
    ("Migrations rehearsed on production's schema", "rehearsed", BEFORE, MIGRATIONS, ""),
    ("Staging answers its smoke tests", "staging_smoked", BEFORE, ALWAYS, ""),
    ("Environments are coherent", "environments_coherent", BEFORE, ALWAYS, ""),
    ("Release notes read", "", BEFORE, ALWAYS, ""),
    *_IN_PRODUCTION,
    (KEY_PAGES, "", AFTER, ALWAYS, "/"),
    ("staging equals main", "staging_equals_main", AFTER, ALWAYS, ""),
)
# Staging has not seen the change, so nothing is said of it but what its database must have run.
HOTFIX_ITEMS = (
    ("The pull request into production is open", "promotion_open", BEFORE, ALWAYS, ""),
    ("CI is green", "ci_green", BEFORE, ALWAYS, ""),
    ("Migrations: none, or run in staging first", "migrations_ready", BEFORE, ALWAYS, ""),
    ("Migrations rehearsed on production's schema", "rehearsed", BEFORE, MIGRATIONS, ""),
    ("Environments are coherent", "environments_coherent", BEFORE, ALWAYS, ""),
    ("Note on what is broken and why it cannot wait", "", BEFORE, ALWAYS, ""),
    *_IN_PRODUCTION,
    ("What was broken was looked at, and works", "", AFTER, ALWAYS, ""),
    ("Back-merge merged: staging holds the hotfix", "back_merged", AFTER, ALWAYS, ""),
)
SHIPPED = {ReleaseKind.NORMAL: DEFAULT_ITEMS, ReleaseKind.HOTFIX: HOTFIX_ITEMS}


def ensure_defaults() -> None:
    """Make the default template of each kind of release."""
    for kind in ReleaseKind:
        ensure_default(kind)


def ensure_default(kind: ReleaseKind = ReleaseKind.NORMAL) -> ChecklistTemplate:
    """Return the default template of a kind, made once; teams edit it in the admin."""
    template, created = ChecklistTemplate.objects.get_or_create(
        project=None, kind=kind, defaults={"name": _free_name(DEFAULT_NAMES[kind])}
    )
    if created:
        _copy(_shipped(kind), template)
    return template


def ensure_for(project: Project, *, pages: Iterable[tuple[str, str]] = ()) -> None:
    """Give the project a checklist of its own for each kind of release; one that it has stays.

    A new one copies the default as the team made it; `pages` (name, path on production's frontend)
    take the place of the line about key pages.
    """
    for kind in ReleaseKind:
        default = ensure_default(kind)
        name = _free_name(f"{default.name}: {project.name}"[:90])
        own, created = ChecklistTemplate.objects.get_or_create(
            project=project, kind=kind, defaults={"name": name}
        )
        if created:
            lines = list(default.items.all())
            _copy([page_ for line in lines for page_ in _with_pages(line, list(pages))], own)


def copy_default(template: ChecklistTemplate) -> None:
    """Give a template without items those of the default of its kind."""
    kind = ReleaseKind(template.kind)
    _copy(list(ensure_default(kind).items.all()) or _shipped(kind), template)


def _copy(lines: Sequence[ChecklistTemplateItem], template: ChecklistTemplate) -> None:
    for line in lines:
        line.pk, line.template = None, template
    ChecklistTemplateItem.objects.bulk_create(lines)


def _shipped(kind: ReleaseKind) -> list[ChecklistTemplateItem]:
    return [
        ChecklistTemplateItem(
            position=10 * n, text=text, gate=gate, phase=phase, condition=condition, link=link
        )
        for n, (text, gate, phase, condition, link) in enumerate(SHIPPED[kind], 1)
    ]


def _with_pages(
    line: ChecklistTemplateItem, pages: list[tuple[str, str]]
) -> list[ChecklistTemplateItem]:
    """Return the line itself, or in place of the one about key pages a line for each of `pages`."""
    if line.text != KEY_PAGES or not pages:
        return [line]
    rest = {"gate": line.gate, "phase": line.phase, "condition": line.condition}
    return [
        ChecklistTemplateItem(
            position=line.position, text=f"Verify page: {name}", link=path, **rest
        )
        for name, path in pages
    ]


def _free_name(name: str) -> str:
    """Return `name`, or with a number where a template is called that already."""
    alike = ChecklistTemplate.objects.filter(name__startswith=name)
    taken = set(alike.values_list("name", flat=True))
    numbered = (f"{name} ({number})" for number in count(2))
    return next(candidate for candidate in chain([name], numbered) if candidate not in taken)


def template_of(project: Project, kind: ReleaseKind) -> ChecklistTemplate:
    """Return the project's own template for releases of this kind, else the default one."""
    own = ChecklistTemplate.objects.filter(project=project, kind=kind).first()
    return own or ensure_default(kind)


def copy_to(release: Release) -> list[ChecklistItem]:
    """Copy the template's items, so that later edits of the template never alter a running release.

    The item about the environments is added where a template leaves it out: the gate is asked
    before every promotion, and what no machine can see needs a place where a person signs for it.
    """
    lines = list(template_of(release.project, ReleaseKind(release.kind)).items.all())
    names = [field.name for field in ItemText._meta.fields]
    return ChecklistItem.objects.bulk_create(
        ChecklistItem(release=release, **{name: getattr(line, name) for name in names})
        for line in (*lines, *_left_out(lines))
    )


def _left_out(lines: Sequence[ChecklistTemplateItem]) -> list[ChecklistTemplateItem]:
    """Return the item about the environments, unless `lines` always ask it before the promotion."""
    default = ("environments_coherent", BEFORE, ALWAYS)
    if any((line.gate, line.phase, line.condition) == default for line in lines):
        return []
    item = next(item for item in _shipped(ReleaseKind.NORMAL) if item.gate == default[0])
    item.position = max((line.position for line in lines), default=0) + 10
    return [item]
