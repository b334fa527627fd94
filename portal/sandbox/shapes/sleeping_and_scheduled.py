"""Services that do not always run, which is no fault: sleeping and scheduled ones."""

from portal.sandbox.shapes import Service, Shape

SHAPE = Shape(
    "A serverless service sleeps until somebody asks it, and a scheduled one is stopped between its"
    " runs.",
    services=(
        Service("frontend", sleeps=True),
        Service("nightly", root="/backend", cron="0 3 * * *", public=False),
    ),
)
