"""The shipped checklist, and how a release copies its own."""

from environments.models import Project
from releases.models import ChecklistItem, ChecklistTemplate, ChecklistTemplateItem, Condition, Phase, Release

DEFAULT_NAME = "The team's runbook"
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


def ensure_default() -> ChecklistTemplate:
    """The default template, made once and never overwritten: teams edit it in the admin."""
    template, created = ChecklistTemplate.objects.get_or_create(project=None, defaults={"name": DEFAULT_NAME})
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
            for n, (text, gate, phase, condition, link) in enumerate(DEFAULT_ITEMS)
        )
    return template


def template_of(project: Project) -> ChecklistTemplate:
    """The project's own template, else the default one."""
    own = ChecklistTemplate.objects.filter(project=project).first()
    return own or ensure_default()


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
        for line in template_of(release.project).items.all()
    )
