"""What the sandbox says of a project whose own command runs its migrations."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

# Of the pip that Python itself comes with: nothing has to be installed to ask it.
_HOSTS = """
import ensurepip, glob, os, sys, sysconfig
beside = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
for place in (beside, sysconfig.get_config_var("WHEEL_PKG_DIR") or beside):
    sys.path[:0] = glob.glob(os.path.join(place, "pip-*.whl"))
from pip._internal.models.index import PyPI
print(PyPI.netloc, PyPI.file_storage_domain)
"""


@dataclass(frozen=True)
class OwnCommand:
    """A command for the shell at the repository's root, what installs its packages, and its
    variables.
    """

    line: str
    install: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def settings(self, alembic: str, version_table: str) -> dict[str, object]:
        """Return the fields of the portal's database that let it run the same command."""
        return {
            "name": "main",
            "alembic": alembic,
            "runner": "command",
            "migration_command": self.line,
            "install_command": self.install,
            "migration_variables": " ".join(self.variables),
            "version_table": version_table,
        }


def package_hosts() -> str:
    """Return the hosts of the public package index, as pip names them; "" where Python comes
    without pip.

    A machine may reach them under addresses of its own network, which a portal allows by name only.
    """
    ran = subprocess.run([sys.executable, "-I", "-c", _HOSTS], capture_output=True, text=True)
    return ran.stdout.strip()
