"""A service that another team releases from another repository."""

from portal.sandbox.shapes import Service, Shape

SHAPE = Shape(
    "A service is built from another repository: it is shown and does not hold a release up, unless"
    " the project says that it belongs to it.",
    services=(Service("website", repository="acme/website"),),
)
