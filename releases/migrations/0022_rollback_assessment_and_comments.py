"""The words of the glossary: rollback assessment, and a pull request's comment."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("environments", "0033_rate_limits_and_deployment_requests"),
        ("releases", "0021_pace_of_github_readings"),
    ]

    operations = [
        migrations.RenameModel("Advice", "RollbackAssessment"),
        migrations.AlterField(
            "rollbackassessment",
            "release",
            models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="assessment",
                to="releases.release",
            ),
        ),
        migrations.RenameModel("PullNote", "PullRequestComment"),
        migrations.AlterField(
            "pullrequestcomment",
            "project",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="pull_request_comments",
                to="environments.project",
            ),
        ),
    ]
