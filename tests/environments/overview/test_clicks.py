"""What an administrator is told to click is the protection that the portal would apply."""

import pytest

from environments.branches.protection import clicks
from environments.models import Project

pytestmark = pytest.mark.django_db


def test_the_clicks_name_the_checks_the_approvals_and_who_may_pass():
    project = Project(
        repository="acme/inspector",
        protected_approvals=2,
        portal_app="portal-app",
        protected_checks=["python-ci"],
    )

    main, staging = clicks(project, "main"), clicks(project, "staging")

    assert (
        "Tick Require status checks to pass before merging, and add python-ci and release-portal."
        in main
    )
    assert "Tick Require status checks to pass before merging, and add python-ci." in staging
    assert any(message.endswith("Require approvals: 2.") for message in main)
    assert any(message.endswith("add portal-app.") for message in staging)
    assert not any("portal-app" in message for message in main)
