"""A monorepo whose services are deployed only when something of theirs changed."""

from portal.sandbox.shapes import Service, Shape

SHAPE = Shape(
    "Services of a monorepo have root directories and watch patterns: one that nothing touched"
    " stays where it is.",
    services=(
        Service("backend", root="/backend", watch=("/backend/**",)),
        Service("frontend", root="/frontend", watch=("frontend/**", "!*.md")),
        # Nothing that these two watch changes in the sample's release.
        Service("worker", root="/backend", watch=("/backend/app.py", "/backend/requirements.txt")),
        Service("docs", watch=("/README.md", "/docs/"), quiet=True),
    ),
)
