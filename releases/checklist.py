"""The shipped checklist, and how a release copies its own."""

from environments.models import Project
from releases.models import (
    ChecklistItem,
    ChecklistTemplate,
    ChecklistTemplateItem,
    Condition,
    Phase,
    Release,
    ReleaseKind,
)

DEFAULT_NAMES = {ReleaseKind.NORMAL: "The team's runbook", ReleaseKind.HOTFIX: "Hotfix"}
BEFORE, AFTER, ALWAYS, MIGRATIONS = Phase.BEFORE, Phase.AFTER, Condition.ALWAYS, Condition.MIGRATIONS
# text, gate (empty: a person ticks), phase, condition, link (relative ones lie on production's frontend)
DEFAULT_ITEMS = (
    ("Staging is healthy at the candidate", "staging_healthy", BEFORE, ALWAYS, ""),
    ("The promotion pull request is open", "promotion_open", BEFORE, ALWAYS, ""),
    ("CI is green", "ci_green", BEFORE, ALWAYS, ""),
    ("Migrations: none, or applied in staging and soaked", "migrations_ready", BEFORE, ALWAYS, ""),
    ("Migrations rehearsed on production's schema", "rehearsed", BEFORE, MIGRATIONS, ""),
    ("Environments are coherent", "environments_coherent", BEFORE, ALWAYS, ""),
    ("Release notes read", "", BEFORE, ALWAYS, ""),
    ("Production is live at the merge commit on every service", "production_live", AFTER, ALWAYS, ""),
    ("Production's database is at head", "production_at_head", AFTER, MIGRATIONS, ""),
    ("Smoke tests are green", "smoke_green", AFTER, ALWAYS, ""),
    ("Key page looked at: Signals list", "", AFTER, ALWAYS, "/signals"),
    ("Key page looked at: Signal detail", "", AFTER, ALWAYS, "/signals/1"),
    ("Key page looked at: Settings", "", AFTER, ALWAYS, "/settings"),
    ("staging equals main", "staging_equals_main", AFTER, ALWAYS, ""),
)


# Shorter: staging has not seen the change, so nothing is said about staging but what its database must have run.
HOTFIX_ITEMS = (
    ("The pull request into production is open", "promotion_open", BEFORE, ALWAYS, ""),
    ("CI is green", "ci_green", BEFORE, ALWAYS, ""),
    ("Migrations: none, or run in staging first", "migrations_ready", BEFORE, ALWAYS, ""),
    ("Migrations rehearsed on production's schema", "rehearsed", BEFORE, MIGRATIONS, ""),
    ("Environments are coherent", "environments_coherent", BEFORE, ALWAYS, ""),
    ("Note on what is broken and why it cannot wait", "", BEFORE, ALWAYS, ""),
    ("Production is live at the merge commit on every service", "production_live", AFTER, ALWAYS, ""),
    ("Production's database is at head", "production_at_head", AFTER, MIGRATIONS, ""),
    ("Smoke tests are green", "smoke_green", AFTER, ALWAYS, ""),
    ("What was broken was looked at, and works", "", AFTER, ALWAYS, ""),
    ("Back-merge merged: staging holds the hotfix", "back_merged", AFTER, ALWAYS, ""),
)
SHIPPED = {ReleaseKind.NORMAL: DEFAULT_ITEMS, ReleaseKind.HOTFIX: HOTFIX_ITEMS}


def ensure_defaults() -> None:
    """The shipped checklist of each kind of release."""
    for kind in ReleaseKind:
        ensure_default(kind)


def ensure_default(kind: ReleaseKind = ReleaseKind.NORMAL) -> ChecklistTemplate:
    """The default template of a kind, made once and never overwritten: teams edit it in the admin."""
    template, created = ChecklistTemplate.objects.get_or_create(
        project=None, kind=kind, defaults={"name": _free_name(DEFAULT_NAMES[kind])}
    )
    if created:
        ChecklistTemplateItem.objects.bulk_create(
            ChecklistTemplateItem(
                template=template,
                position=10 * (n + 1),
                text=text,
                gate=gate,
                phase=phase,
                condition=condition,
                link=link,
            )
            for n, (text, gate, phase, condition, link) in enumerate(SHIPPED[kind])
        )
    return template


def _free_name(name: str) -> str:
    """`name`, unless a team has given it to a template of its own."""
    return f"{name} (default)" if ChecklistTemplate.objects.filter(name=name).exists() else name


def template_of(project: Project, kind: ReleaseKind) -> ChecklistTemplate:
    """The project's own template for releases of this kind, else the default one."""
    own = ChecklistTemplate.objects.filter(project=project, kind=kind).first()
    return own or ensure_default(kind)


def copy_to(release: Release) -> list[ChecklistItem]:
    """Copies the template's items, so that later edits of the template never alter a running release."""
    return ChecklistItem.objects.bulk_create(
        ChecklistItem(
            release=release,
            position=line.position,
            text=line.text,
            link=line.link,
            gate=line.gate,
            phase=line.phase,
            condition=line.condition,
        )
        for line in template_of(release.project, ReleaseKind(release.kind)).items.all()
    )
