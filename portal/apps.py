"""The portal's app: its admin site takes Django's place, and its roles exist once tables do."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.conf import settings
from django.contrib.admin import apps
from django.db.models.signals import post_migrate

from portal.logs import errors


class PortalAdminConfig(apps.AdminConfig):
    """Makes `django.contrib.admin.site` an instance of our site."""

    default = False  # of the app "portal", which lies in the same package
    default_site = "portal.ui.admin_site.PortalSite"


class PortalConfig(AppConfig):
    """Sees that the roles are there however the portal is started: by `run`, or by its parts."""

    name = "portal"

    def ready(self) -> None:
        post_migrate.connect(ensure_roles, dispatch_uid="portal roles")
        if settings.SENTRY_DSN:
            errors.report_to(settings.SENTRY_DSN)


def ensure_roles(app_config: AppConfig, apps: Apps = installed, **rest: Any) -> None:
    """Make the roles when `migrate` comes to the last app, for then every permission exists."""
    if app_config.label != list(installed.get_app_configs())[-1].label:
        return
    try:
        apps.get_model("auth", "Permission")  # absent while tables are taken back
    except LookupError:
        return
    from django.contrib.auth.management import (
        create_permissions,
        rename_permissions_after_model_rename,
    )

    from portal.accounts import roles

    # Django's own turn comes after this one, and a permission that exists twice cannot be renamed.
    rename_permissions_after_model_rename(app_config, apps=apps, **rest)
    create_permissions(app_config, verbosity=0, apps=apps)
    roles.ensure()
