from django.db import migrations


def name_items(apps, schema_editor):
    """What a promotion keeps of each line names the checklist item itself; until now it was known by its text."""
    alias = schema_editor.connection.alias
    checklist_items = apps.get_model("releases", "ChecklistItem").objects.using(alias)
    for promotion in apps.get_model("releases", "Promotion").objects.using(alias):
        before = checklist_items.filter(release=promotion.release_id, phase="before")
        items = {item.text: item.pk for item in before}
        for line in promotion.gates:
            line.setdefault("item", items.get(line["text"]))
        promotion.save(update_fields=["gates"])


class Migration(migrations.Migration):

    dependencies = [
        ("releases", "0013_registered_conditions"),
    ]

    operations = [
        migrations.RunPython(name_items, migrations.RunPython.noop),
    ]
