"""Tables and columns get the names that code and pages use."""

import django.db.models.deletion
from django.db import migrations, models

JOBS = (
    "advice",
    "branchscan",
    "githubsync",
    "notice",
    "notificationfeed",
    "promotion",
    "pullnote",
    "pullreading",
    "releasereconciler",
    "rollback",
    "stagingsmoke",
)


class Migration(migrations.Migration):
    dependencies = [
        ("environments", "0022_plain_names"),
        ("releases", "0016_verdict_names_its_gate"),
    ]

    operations = [
        migrations.RenameModel("LineReading", "BranchScan"),
        migrations.RenameModel("Upkeep", "ReleaseReconciler"),
        *(migrations.RenameField(job, "deaths", "crashes") for job in JOBS),
        migrations.AlterField(
            "branchscan",
            "project",
            models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="branch_scan",
                to="environments.project",
            ),
        ),
        migrations.AlterField(
            "releasereconciler",
            "release",
            models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="reconciler",
                to="releases.release",
            ),
        ),
    ]
