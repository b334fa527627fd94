"""The default checklist gets the item that asks for a rehearsal; a project's own checklists stay as they are."""

from django.db import migrations
from django.db.models import F


def add(apps, schema_editor):
    template = apps.get_model("releases", "ChecklistTemplate").objects.filter(project=None).first()
    if template is None or template.items.filter(gate="rehearsed").exists():
        return
    before = template.items.filter(gate="migrations_ready").first()
    position = before.position + 1 if before else 1
    template.items.filter(position__gte=position).update(position=F("position") + 1)
    template.items.create(
        position=position,
        text="Migrations rehearsed on production's schema",
        gate="rehearsed",
        phase="before",
        condition="migrations",
    )


class Migration(migrations.Migration):
    dependencies = [("releases", "0003_pulls"), ("environments", "0008_rehearsals")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
