"""What each credential is, what it can do here, what it cannot, and how to fix it.

No part of a token is ever shown.
"""

from environments.connections.check_deploy_key import of_deploy_key
from environments.connections.check_github import of_github
from environments.connections.check_railway import of_railway
from environments.connections.connection import FAIL, MAKE_ISOLATION, PASS, Connection
from environments.connections.sources import sources
from environments.models import Project
from portal import isolation
from portal.credentials import stored


def diagnose() -> list[Connection]:
    """Look at every credential of the settings with the projects it is for. Only reads."""
    projects = list(Project.objects.all())
    keys = [diagnosis for project in projects if (diagnosis := of_deploy_key(project))]
    railways = [of_railway(source) for source in sources(stored.RAILWAY, projects)]
    githubs = [of_github(source) for source in sources(stored.GITHUB, projects)]
    return [*railways, *githubs, *keys, _isolation()]


def _isolation() -> Connection:
    """Return whether code of repositories runs isolated on this machine."""
    name, kind = "Isolation of repository code", "Landlock and seccomp"
    if why := isolation.why_not():
        message = (
            "This machine cannot isolate repository code, so no file of a pull request is executed."
        )
        cannot = (
            "Plan what a pull request computes: only its literal op.… calls are read.",
            "Keep migrations that run from the portal's own files.",
        )
        return Connection(name, FAIL, kind, f"{message} {why}", cannot=cannot, fix=MAKE_ISOLATION)
    message = (
        "Migrations, commands and packages see only their own files and one database, and "
        "nothing of the portal."
    )
    return Connection(name, PASS, kind, message)
