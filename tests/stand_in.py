"""GitHub with the sample: made once by each test process, then copied, for a hundred runs of git
make it.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from portal.sandbox import sample
from portal.sandbox.github import GitHubStandIn


def github_with_the_sample(directory: Path) -> GitHubStandIn:
    """A stand-in for acme/inspector of its own in `directory`, which must not be there yet."""
    shutil.copytree(_filled(), directory)
    return _stand_in(directory)


def _stand_in(directory: Path) -> GitHubStandIn:
    return GitHubStandIn(directory, owner="acme", name="inspector")


@functools.cache
def _filled() -> Path:
    place = Path(tempfile.mkdtemp(prefix="portal-stand-in-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    hub = _stand_in(place / "github")
    sample.populate(hub, sample.build(place / "sample"))
    hub.hooks.stop()
    return place / "github"
