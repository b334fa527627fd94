"""Environments and branches with names of their own."""

from portal.sandbox.shapes import Shape

SHAPE = Shape(
    "The environments are called “develop” and “Live EU”, the branches “release/next” and “trunk”,"
    " and the project writes one of them in another case.",
    environments={"staging": "develop", "production": "Live EU"},
    branches={"staging": "release/next", "production": "trunk"},
    settings={"production_environment": "live eu"},
)
