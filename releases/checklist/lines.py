"""A template's items as lines of text, which a proposal shows and from which it is carried out."""

from collections.abc import Iterable, Mapping
from typing import Any

from portal.ui.actions import Refused
from releases.models.checklist import ChecklistTemplate, ChecklistTemplateItem

BETWEEN = " | "
PERSON, NO_PAGE = "a person", "no page"


def line_of(item: ChecklistTemplateItem) -> str:
    """Return the item as one line: `10 | before | always | a person | no page | Notes read`."""
    parts = (item.phase, item.condition, item.gate or PERSON, item.link or NO_PAGE, item.text)
    return BETWEEN.join((str(item.position), *parts))


def wanted_lines(
    rows: Iterable[ChecklistTemplateItem], gone: Iterable[ChecklistTemplateItem]
) -> dict[str, str]:
    """Return what a form leaves of the items, as a proposal names them; `gone` are deleted."""
    kept = [row for row in rows if row.pk]
    added = [row for row in rows if not row.pk]
    wanted = {f"item {row.pk}": line_of(row) for row in kept}
    wanted |= {f"item {row.pk}": "" for row in gone}
    return wanted | {f"new item {n}": line_of(row) for n, row in enumerate(added, 1)}


def write_lines(template: ChecklistTemplate, values: Mapping[str, Any]) -> None:
    """Carry out what `wanted_lines` named. Raise `Refused` where an item is not there any more."""
    items = {f"item {row.pk}": row for row in template.items.all()}
    for name, line in values.items():
        if name.startswith("new item "):
            _written(ChecklistTemplateItem(template=template), line)
        elif name.startswith("item "):
            if name not in items:
                raise Refused(f"{name.capitalize()} is not there any more; decline this change.")
            if line:
                _written(items[name], line)
            else:
                items[name].delete()


def _written(item: ChecklistTemplateItem, line: str) -> None:
    position, phase, condition, gate, link, text = line.split(BETWEEN, 5)
    item.position, item.phase, item.condition, item.text = int(position), phase, condition, text
    item.gate = "" if gate == PERSON else gate
    item.link = "" if link == NO_PAGE else link
    item.save()
