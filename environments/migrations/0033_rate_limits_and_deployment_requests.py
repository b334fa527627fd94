"""Railway's word for a token's requests is rate limit; what the portal asked for is a request."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("environments", "0032_which_release_a_run_is_part_of")]

    operations = [
        migrations.RenameModel("RailwayBudget", "RailwayRateLimit"),
        migrations.RenameModel("DeploymentAsk", "DeploymentRequest"),
        migrations.RenameIndex(
            "deploymentrequest",
            new_name="environment_instanc_3e5914_idx",
            old_name="environment_instanc_5d3d61_idx",
        ),
        migrations.AlterField(
            "deploymentrequest",
            "instance",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deployment_requests",
                to="environments.serviceinstance",
            ),
        ),
        migrations.AlterField(
            "databasestatus",
            "database",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="statuses",
                to="environments.database",
            ),
        ),
        migrations.AlterField(
            "databasestatus",
            "environment",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="statuses",
                to="environments.environment",
            ),
        ),
    ]
