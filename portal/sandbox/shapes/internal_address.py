"""PostgreSQL on Railway as Railway sets it up: a private address for the code and a public one
for the rest.
"""

from portal.sandbox import sample
from portal.sandbox.shapes import Service, Shape

# The same words in every environment: each resolves the name to its own.
PRIVATE = "postgresql://postgres:in-the-sandbox@postgres.railway.internal:5432/railway"

SHAPE = Shape(
    "The code reaches its database by a private address, which is the same in every environment;"
    " the portal takes the public one of the database's own service.",
    services=(
        Service(
            "Postgres",
            image="ghcr.io/railwayapp-templates/postgres-ssl:17",
            volume="/var/lib/postgresql/data",
            public=False,
            variables={"DATABASE_URL": PRIVATE},
        ),
        Service("backend", root="/backend", variables={"DATABASE_URL": PRIVATE}),
    ),
    settings={
        "databases": [{"name": "main", "alembic": sample.ALEMBIC, "public_service": "Postgres"}]
    },
)
