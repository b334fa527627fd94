"""A service whose pre-deploy command migrates its database, as the portal knows."""

from portal.sandbox import sample
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.shapes import Service, Shape


def deploy_again(railway: RailwayStandIn) -> None:
    """Deploy staging once more, now that its command is set: this migrates staging."""
    railway.deploy("backend", "staging", railway.live_commit("backend", "staging"))


SHAPE = Shape(
    "A pre-deploy command migrates the database at each deployment, and the project says so: the"
    " portal runs nothing and verifies what the database reports.",
    services=(Service("backend", root="/backend", pre_deploy="python -m alembic upgrade head"),),
    settings={
        "databases": [{"name": "main", "alembic": sample.ALEMBIC, "runner": "verify"}],
        "deploy_minutes": 600,  # where the waiting takes no time, a real command takes hours
    },
    railway=(deploy_again,),
)
