"""A second database in the same repository, with an Alembic directory of its own."""

from pathlib import Path

from portal.sandbox import sample, sample_files
from portal.sandbox.shapes import Service, Shape

ALEMBIC = "billing/alembic.ini"
INVOICES = sample.migration(
    "b1",
    None,
    "create invoices",
    'op.create_table("invoices", sa.Column("id", sa.Integer, primary_key=True))',
    'op.drop_table("invoices")',
    directory="billing/alembic",
)
PAID = sample.migration(
    "b2",
    "b1",
    "invoices are paid",
    'op.add_column("invoices", sa.Column("paid_at", sa.DateTime(timezone=True)))',
    'op.drop_column("invoices", "paid_at")',
    directory="billing/alembic",
)
MAIN = (
    *sample.MAIN,
    (
        "Keep invoices in a database of their own",
        {ALEMBIC: sample_files.ALEMBIC_INI, "billing/alembic/env.py": sample_files.ENV_PY}
        | INVOICES,
    ),
)
MERGED = (*sample.MERGED, (123, "feature/paid", "Invoices are paid", "aylin", PAID))


def build(directory: Path) -> sample.Sample:
    """Return the sample, and the second directory with one revision in production and one to
    come.
    """
    return sample.build(directory, main=MAIN, merged_pulls=MERGED)


SHAPE = Shape(
    "Two Alembic directories migrate two databases: one release and one checklist, and for each"
    " database its own plan, rehearsal, run and way back.",
    services=(Service("billing", root="/billing"),),
    settings={
        "databases": [
            {"name": "signals", "alembic": sample.ALEMBIC},
            {
                "name": "billing",
                "alembic": ALEMBIC,
                "service": "billing",
                "variable": "BILLING_DATABASE_URL",
            },
        ]
    },
    build=build,
)
