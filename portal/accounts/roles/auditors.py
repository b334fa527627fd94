"""Auditors see everything and change nothing."""

from portal.accounts.roles.registry import role
from portal.accounts.roles.seeing import SEE

role(
    "Auditors",
    *SEE,
    "environments.view_database",
    "environments.view_deployment",
    "environments.view_deploykey",
    "environments.view_environmentdatabase",
    "environments.view_service",
    "environments.view_serviceinstance",
    "environments.view_smoketest",
    "environments.view_variablerule",
    "releases.view_checklisttemplate",
    "releases.view_checklisttemplateitem",
    "releases.view_freeze",
    "releases.view_promotionstep",
    "releases.view_rollbackstep",
    "auth.view_user",
    "auth.view_group",
    "portal.view_webhookdelivery",
)
