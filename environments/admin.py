"""The stock admin of environments: read-only rows, and the secrets that people enter there.

Each folder has an admin of its own.
"""

from environments.databases import admin as databases
from environments.findings import admin as findings
from environments.git_mirrors import admin as clones
from environments.services import admin as services
from environments.variables import admin as variables

__all__ = ["clones", "databases", "findings", "services", "variables"]
