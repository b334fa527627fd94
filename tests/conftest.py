"""What every test may rely on."""

import gc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings
from whitenoise.middleware import WhiteNoiseMiddleware

from portal import observed, redaction
from tests import migrated, migrated_data
from tests.emptying import quick_emptying

QUICK_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"

SHORT = ("tests/environments/", "tests/portal/", "tests/releases/")  # of seconds, most of them

gc.disable()  # while some thousand tests are imported, nothing of which is garbage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of minutes come first: one at the end would let the other workers wait for it."""
    items.sort(key=lambda item: item.nodeid.startswith(SHORT))


def pytest_collection_finish() -> None:
    """What was imported lives until the end: the collector need not look through it again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request, django_db_modify_db_settings_parallel_suffix, django_db_blocker
) -> None:
    """Where several workers run (xdist), only one of them has to migrate."""
    worker = getattr(request.config, "workerinput", {})
    if worker and not request.config.getvalue("reuse_db"):
        with django_db_blocker.unblock():
            migrated.copy_for(worker["testrunuid"])


@pytest.fixture(scope="session")
def migrated_data_in(request, tmp_path_factory) -> Callable[[Path], None]:
    """`migrated_data_in(var / "postgres")`: what a portal starts with that has run before.

    All workers of a run (xdist) share what one of them made.
    """
    of_this_run = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        of_this_run = of_this_run.parent
    return partial(migrated_data.copy_to, made_in=of_this_run / "migrated")


@pytest.fixture(autouse=True, scope="session")
def passwords_are_hashed_quickly() -> None:
    """The first hasher makes the hashes, and ours is slow on purpose; all others still verify."""
    settings.PASSWORD_HASHERS = [QUICK_HASHER, *settings.PASSWORD_HASHERS]


@pytest.fixture(autouse=True)
def nothing_was_observed() -> None:
    """What GitHub said about its limits in one test is no reason to wait in the next."""
    observed._noted.clear()


@pytest.fixture(autouse=True)
def no_credential_is_held() -> None:
    """A credential of one test is no secret in what the next one says."""
    redaction.let_go()


@pytest.fixture(autouse=True, scope="session")
def static_files_are_looked_for_once() -> Iterator[None]:
    """Every client of a test has the middleware of its own, and they all serve the same files."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def look_once(self) -> None:
        if not found:
            look(self)
            found.update(self.files)
        self.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = look_once
    yield
    WhiteNoiseMiddleware.add_files_from_finders = look


@pytest.fixture(autouse=True, scope="session")
def only_what_was_written_is_deleted() -> Iterator[None]:
    """What a transactional test wrote is deleted after it, and the audit chain begins anew."""
    with quick_emptying():
        yield
