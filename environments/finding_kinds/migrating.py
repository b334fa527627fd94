"""Services whose own commands migrate a database."""

from environments.finding_kinds.registry import kind

AT_DEPLOY = kind("at_deploy", "migrates while it deploys", sign_off=True)
