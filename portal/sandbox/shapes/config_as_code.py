"""Services whose watch patterns, health check and commands stand in the repository, and one with
a root directory.
"""

import json
from pathlib import Path

from portal.sandbox import sample
from portal.sandbox.shapes import Service, Shape

# What the worker watches is not what the sample's release changes.
WORKER = {
    "build": {"watchPatterns": ["/backend/app.py"]},
    "deploy": {"healthcheckPath": "/health", "startCommand": "gunicorn app:app"},
    "environments": {"production": {"deploy": {"preDeployCommand": ["python -V"]}}},
}
FILES = {"backend/worker.json": json.dumps(WORKER, indent=2), "docs/index.md": "# Signals\n"}


def build(directory: Path) -> sample.Sample:
    """Make the sample with configuration as code in its first commit."""
    (message, files), *rest = sample.MAIN
    return sample.build(directory, main=((message, files | FILES), *rest))


SHAPE = Shape(
    "Watch patterns and commands stand in a file of the repository, and a service has a root"
    " directory alone: what Railway skips stays where it is if git says that nothing of it"
    " changed.",
    services=(
        Service("worker", root="/backend", config="/backend/worker.json"),
        Service("docs", root="/docs", rooted=True),
    ),
    build=build,
)
