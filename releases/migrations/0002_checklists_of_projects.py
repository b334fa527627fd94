"""Each project gets the checklists it has used so far as its own; the sample's pages leave the default."""

from django.db import migrations

PAGES = (
    ("Key page looked at: Signals list", "/signals"),
    ("Key page looked at: Signal detail", "/signals/1"),
    ("Key page looked at: Settings", "/settings"),
)
FIELDS = ("position", "text", "link", "gate", "phase", "condition")


def separate(apps, editor):
    """Copy the defaults for every project, then take the sample's pages out of the default."""
    template_model = apps.get_model("releases", "ChecklistTemplate")
    item_model = apps.get_model("releases", "ChecklistTemplateItem")
    for default in template_model.objects.filter(project=None):
        items = list(item_model.objects.filter(template=default))
        for project in apps.get_model("environments", "Project").objects.all():
            if template_model.objects.filter(project=project, kind=default.kind).exists():
                continue
            name = f"{default.name}: {project.name}"[:90]
            if template_model.objects.filter(name=name).exists():
                name = f"{name} ({project.pk})"
            own = template_model.objects.create(project=project, kind=default.kind, name=name)
            item_model.objects.bulk_create(
                item_model(template=own, **{field: getattr(one, field) for field in FIELDS}) for one in items
            )
        ours = [one for one in items if (one.text, one.link) in PAGES]
        if len(ours) == len(PAGES):
            first = min(ours, key=lambda one: one.position)
            item_model.objects.filter(pk__in=[one.pk for one in ours if one != first]).delete()
            item_model.objects.filter(pk=first.pk).update(text="Key pages verified in production", link="/")


class Migration(migrations.Migration):
    dependencies = [("releases", "0001_initial"), ("environments", "0001_initial")]

    operations = [migrations.RunPython(separate, migrations.RunPython.noop)]
