"""The process that runs Alembic: `python -m environments.schema.child FOLDER VERSIONS…`."""

import os
import sys
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config


def main() -> None:
    """Upgrades to each target; ends when its parent's end of the pipe closes."""
    folder = Path(sys.argv[1])
    threading.Thread(target=_watch, daemon=True).start()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic_env"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(str(folder / name) for name in sys.argv[2:]))
    for target in os.environ["PORTAL_TARGET"].split():
        command.upgrade(config, target)


def _watch() -> None:
    sys.stdin.read()
    os._exit(70)


if __name__ == "__main__":
    main()
