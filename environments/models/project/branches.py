"""The two long-lived branches of a project, and the Railway environments that deploy them."""

from django.db import models
from django.db.models import F, Q


class LongLivedBranches(models.Model):
    """Which branch and which Railway environment are staging, and which are production."""

    staging_branch = models.CharField("Branch of staging", max_length=200, default="staging")
    staging_environment = models.CharField(
        "Railway environment of staging", max_length=200, default="staging"
    )
    production_branch = models.CharField("Branch of production", max_length=200, default="main")
    production_environment = models.CharField(
        "Railway environment of production", max_length=200, default="production"
    )

    class Meta:
        abstract = True
        verbose_name = "Branches and environments"
        constraints = [
            models.CheckConstraint(
                condition=~Q(staging_environment=F("production_environment")),
                name="project_two_environments",
                violation_error_message=(
                    "Staging and production must be two environments; their names are the same."
                ),
            )
        ]
