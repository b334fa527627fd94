"""A service whose image starts a script of the repository that migrates the database."""

from pathlib import Path

from portal.sandbox import sample
from portal.sandbox.shapes import Service, Shape

FILES = {
    "backend/Dockerfile": (
        'FROM python:3.13\nCOPY . /app\nWORKDIR /app\nCMD ["/app/scripts/start.sh"]\n'
    ),
    "backend/scripts/start.sh": "#!/bin/sh\nset -e\nalembic upgrade head\nexec uvicorn app:app\n",
}


def build(directory: Path) -> sample.Sample:
    """Make the sample with a Dockerfile and its script in its first commit."""
    (message, files), *rest = sample.MAIN
    return sample.build(directory, main=((message, files | FILES), *rest))


SHAPE = Shape(
    "The Dockerfile starts a script that migrates the database: found in the repository, and"
    " refused until Alembic is taken out of it, or the portal is told to verify what the service"
    " migrates.",
    services=(Service("backend", root="/backend"),),
    refused="runs Alembic by its own command",
    build=build,
)
