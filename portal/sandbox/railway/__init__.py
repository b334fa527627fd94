"""A Railway stand-in on loopback: the parts of its GraphQL API that releasing software needs."""

from .standin import RailwayStandIn

__all__ = ["RailwayStandIn"]
