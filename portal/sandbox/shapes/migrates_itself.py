"""A service whose own start command migrates the database that the portal is to migrate."""

from portal.sandbox.shapes import Service, Shape

SHAPE = Shape(
    "A service migrates its database by its own start command: refused until Alembic is taken out"
    " of it, or the portal is told to verify what Railway migrates.",
    services=(Service("backend", root="/backend", start="alembic upgrade head && uvicorn app"),),
    refused="runs Alembic by its own command",
)
