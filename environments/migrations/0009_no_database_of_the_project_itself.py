"""What moved to databases leaves projects and environments, and every row names its database."""

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models


# Two tables, so no CHECK can hold it. Deferrable, because a form saves the project before its databases.
DEPLOYS_FIRST = """
CREATE FUNCTION environments_railway_deploys_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM environments_database d JOIN environments_project p ON p.id = d.project_id
             WHERE p.id = (to_jsonb(NEW) ->> TG_ARGV[0])::bigint
               AND d.runner IN ('railway', 'verify') AND p.deploy_order <> 'deploy_first') THEN
    RAISE EXCEPTION 'Railway migrates while it deploys, so deploying comes first: project_railway_deploys_first'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'project_railway_deploys_first';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER project_railway_deploys_first AFTER INSERT OR UPDATE OF runner, project_id
  ON environments_database DEFERRABLE FOR EACH ROW EXECUTE FUNCTION environments_railway_deploys_first('project_id');
CREATE CONSTRAINT TRIGGER project_railway_deploys_first AFTER UPDATE OF deploy_order
  ON environments_project DEFERRABLE FOR EACH ROW EXECUTE FUNCTION environments_railway_deploys_first('id');
"""
NOT_HELD = """
DROP TRIGGER project_railway_deploys_first ON environments_database;
DROP TRIGGER project_railway_deploys_first ON environments_project;
DROP FUNCTION environments_railway_deploys_first;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0008_move_to_databases'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='migrationplan',
            name='migration_plan_once',
        ),
        migrations.RemoveConstraint(
            model_name='migrationrun',
            name='migration_run_one_open',
        ),
        migrations.RemoveConstraint(
            model_name='project',
            name='project_runner_has_command',
        ),
        migrations.RemoveConstraint(
            model_name='project',
            name='project_railway_deploys_first',
        ),
        migrations.RemoveConstraint(
            model_name='rehearsal',
            name='rehearsal_one_open',
        ),
        migrations.RemoveConstraint(
            model_name='stagedrevision',
            name='staged_revision_once',
        ),
        migrations.AlterField(
            model_name='databasesync',
            name='timeline',
            field=models.JSONField(blank=True, default=dict, help_text='Database → environments.schema.standing.Entry, newest first.'),
        ),
        migrations.AlterField(
            model_name='schemastanding',
            name='environment',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='standings', to='environments.environment'),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='database',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='migration_plans', to='environments.database'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='database',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='migration_runs', to='environments.database'),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='database',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rehearsals', to='environments.database'),
        ),
        migrations.AlterField(
            model_name='schemastanding',
            name='database',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='standings', to='environments.database'),
        ),
        migrations.AlterField(
            model_name='stagedrevision',
            name='database',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='staged_revisions', to='environments.database'),
        ),
        migrations.AddConstraint(
            model_name='project',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('repository'), condition=models.Q(('shares_repository', False)), name='project_one_for_a_repository', violation_error_message='Another project releases this repository already: both would post one commit status and share one promotion pull request. Add its second database to that project instead.'),
        ),
        migrations.AddConstraint(
            model_name='migrationplan',
            constraint=models.UniqueConstraint(fields=('database', 'commit', 'base'), name='migration_plan_once'),
        ),
        migrations.AddConstraint(
            model_name='migrationrun',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ('queued', 'running', 'waiting'))), fields=('environment', 'database'), name='migration_run_one_open'),
        ),
        migrations.AddConstraint(
            model_name='rehearsal',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ('queued', 'running', 'waiting'))), fields=('environment', 'database', 'commit', 'direction'), name='rehearsal_one_open'),
        ),
        migrations.AddConstraint(
            model_name='schemastanding',
            constraint=models.UniqueConstraint(fields=('environment', 'database'), name='schema_standing_once'),
        ),
        migrations.AddConstraint(
            model_name='stagedrevision',
            constraint=models.UniqueConstraint(fields=('database', 'revision', 'sha256'), name='staged_revision_once'),
        ),
        migrations.RemoveField(
            model_name='environment',
            name='database_url',
        ),
        migrations.RemoveField(
            model_name='environment',
            name='revisions',
        ),
        migrations.RemoveField(
            model_name='environment',
            name='revisions_at',
        ),
        migrations.RemoveField(
            model_name='environment',
            name='revisions_problem',
        ),
        migrations.RemoveField(
            model_name='project',
            name='alembic',
        ),
        migrations.RemoveField(
            model_name='project',
            name='database_service',
        ),
        migrations.RemoveField(
            model_name='project',
            name='database_variable',
        ),
        migrations.RemoveField(
            model_name='project',
            name='install_command',
        ),
        migrations.RemoveField(
            model_name='project',
            name='migration_command',
        ),
        migrations.RemoveField(
            model_name='project',
            name='migration_variables',
        ),
        migrations.RemoveField(
            model_name='project',
            name='runner',
        ),
        migrations.RemoveField(
            model_name='project',
            name='version_table',
        ),
        migrations.RunSQL(DEPLOYS_FIRST, NOT_HELD),
    ]
