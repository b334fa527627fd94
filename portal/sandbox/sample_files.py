"""What the files of the sample repository hold that no migration changes."""

ALEMBIC_INI = """[alembic]
script_location = %(here)s/alembic
prepend_sys_path = .
"""


ENV_PY = '''"""Runs the migrations against DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import create_engine

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)

with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
'''


SCRIPT_MAKO = '''"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''


APP_PY = '''"""Signals: what happened in a workspace, for the people who must know."""

import os

from fastapi import FastAPI

app = FastAPI(title="Signals")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "commit": os.environ.get("RAILWAY_GIT_COMMIT_SHA", "")}
'''


SIGNALS_PY = '''"""The list of signals and one of them."""

from fastapi import APIRouter

router = APIRouter(prefix="/signals")


@router.get("/")
def signals(severity: str = "") -> list[dict[str, str]]:
    return []
'''


CI_YML = """name: python-ci
on: [push, pull_request]
jobs:
  python-ci:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: cd backend && pip install -r requirements.txt && pytest
"""
