"""PostgreSQL and Redis beside the code."""

from portal.sandbox.shapes import Service, Shape

SHAPE = Shape(
    "PostgreSQL and Redis run from images, each with a volume; they serve no commit and do not hold"
    " a release up.",
    services=(
        Service(
            "Postgres",
            image="ghcr.io/railwayapp-templates/postgres-ssl:17",
            volume="/var/lib/postgresql/data",
            public=False,
        ),
        Service("Redis", image="redis:8.2.1", volume="/data", public=False),
    ),
)
