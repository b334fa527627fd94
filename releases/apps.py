"""The app of releases: the default checklists exist once its tables do."""

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.db.models.signals import post_migrate


class ReleasesConfig(AppConfig):
    """Sees that the default checklists can be edited before the first project is connected."""

    name = "releases"

    def ready(self) -> None:
        post_migrate.connect(ensure_checklists, sender=self, dispatch_uid="default checklists")


def ensure_checklists(apps: Apps = installed, **rest: object) -> None:
    """Make the default checklists, unless their tables were taken back."""
    try:
        apps.get_model("releases", "ChecklistTemplateItem")
    except LookupError:
        return
    from releases.checklist import items

    items.ensure_defaults()
