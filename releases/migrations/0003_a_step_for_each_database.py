"""A promotion migrates each database in a step of its own."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0009_no_database_of_the_project_itself'),
        ('releases', '0002_checklists_of_projects'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='promotionstep',
            name='promotion_step_once',
        ),
        migrations.AddField(
            model_name='promotionstep',
            name='called',
            field=models.CharField(blank=True, default='', help_text="The database's name, where there were several.", max_length=60),
        ),
        migrations.AddField(
            model_name='promotionstep',
            name='database',
            field=models.ForeignKey(blank=True, help_text='Of a migration.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='environments.database'),
        ),
        migrations.AddField(
            model_name='release',
            name='heads_of',
            field=models.JSONField(blank=True, default=dict, help_text='Database → Alembic heads at the candidate.'),
        ),
        migrations.AlterField(
            model_name='downgrade',
            name='database',
            field=models.CharField(help_text='Its name, which the person typed: on its server, or here where there are several.', max_length=200),
        ),
        migrations.AlterField(
            model_name='promotion',
            name='found',
            field=models.JSONField(blank=True, help_text="Database → what production's reported then.", null=True),
        ),
        migrations.AlterField(
            model_name='release',
            name='heads',
            field=models.JSONField(default=list, help_text='Alembic heads at the candidate, of every database.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='migrations',
            field=models.JSONField(default=list, help_text='New revisions in order: id, path, sha256, message, database.'),
        ),
        migrations.AddConstraint(
            model_name='promotionstep',
            constraint=models.UniqueConstraint(fields=('promotion', 'name', 'database'), name='promotion_step_once', nulls_distinct=False),
        ),
    ]
