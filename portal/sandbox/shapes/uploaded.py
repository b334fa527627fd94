"""A service that somebody deploys from his own machine."""

from portal.sandbox.shapes import Service, Shape

SHAPE = Shape(
    "A service was uploaded by Railway's CLI, without a commit: nothing says what it runs until it"
    " is connected, or left out of the release.",
    services=(Service("importer", uploaded=True),),
    refused="uploaded",
)
