"""A database that nothing outside its environment can reach."""

from portal.sandbox.shapes import Service, Shape
from portal.sandbox.shapes.internal_address import PRIVATE

SHAPE = Shape(
    "The database has a private address only: nothing is migrated until it has a TCP proxy, or the"
    " portal runs beside it.",
    services=(Service("backend", root="/backend", variables={"DATABASE_URL": PRIVATE}),),
    refused="TCP proxy",
)
