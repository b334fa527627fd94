"""Room for several databases of a project; what one project has of its own moves there next."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import portal.secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0006_services_of_a_release'),
    ]

    operations = [
        migrations.CreateModel(
            name='Database',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(default='main', help_text='Named in sentences once the project has more than one.', max_length=60)),
                ('position', models.PositiveSmallIntegerField(default=0, help_text="Production's databases are migrated in this order, one after the other.")),
                ('alembic', models.CharField(blank=True, help_text='Path of alembic.ini or of the script directory in the repository; empty: not migrated any more.', max_length=300, verbose_name='Alembic')),
                ('version_table', models.CharField(default='alembic_version', help_text='With its schema before it, where that is not the usual.', max_length=127)),
                ('runner', models.CharField(choices=[('portal', "the portal's own Alembic"), ('command', "the project's command, here"), ('railway', "the project's command, as pre-deploy command on Railway"), ('verify', 'Railway itself, while it deploys; the portal verifies')], default='portal', help_text='On Railway the code must come first: a deployment is what migrates there.', max_length=20, verbose_name='Migrations are run by')),
                ('migration_command', models.CharField(blank=True, default='', help_text="Of the project, for the shell at the repository's root: cd backend && alembic upgrade head", max_length=500, validators=[django.core.validators.RegexValidator('://[^/\\s]*:[^/\\s]*@', 'Put no password into a command; name a variable that holds it.', inverse_match=True)])),
                ('install_command', models.CharField(blank=True, default='', help_text='Run once per lock file in a new virtual environment: pip install -r backend/requirements.txt', max_length=500, validators=[django.core.validators.RegexValidator('://[^/\\s]*:[^/\\s]*@', 'Put no password into a command; name a variable that holds it.', inverse_match=True)])),
                ('migration_variables', models.CharField(blank=True, default='', help_text="Names of the service's variables that the command needs besides the database's, with spaces.", max_length=1000)),
                ('service', models.CharField(default='backend', help_text='The service whose code uses the database, and which migrates it on Railway.', max_length=100)),
                ('variable', models.CharField(default='DATABASE_URL', help_text='The variable in which that service finds the address.', max_length=100)),
                ('public_service', models.CharField(blank=True, default='Postgres', help_text="The database's own service on Railway. Empty: the address is always read from the service above.", max_length=100)),
                ('public_variable', models.CharField(default='DATABASE_PUBLIC_URL', help_text='Its variable with an address that can be reached from outside Railway, by a TCP proxy.', max_length=100)),
            ],
            options={
                'ordering': ['project', 'position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='EnvironmentDatabase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('url', portal.secrets.EncryptedTextField(blank=True, default='', help_text="Only where Railway's variable cannot be reached from here. Write-only.")),
                ('revisions', models.JSONField(blank=True, help_text='What the database reported; null: not known.', null=True)),
                ('revisions_at', models.DateTimeField(blank=True, null=True)),
                ('revisions_problem', models.TextField(blank=True, default='')),
            ],
        ),
        migrations.AddField(
            model_name='project',
            name='shares_repository',
            field=models.BooleanField(default=False, editable=False, help_text='Older than the rule that a repository has one project.'),
        ),
        migrations.AddField(
            model_name='database',
            name='project',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='databases', to='environments.project'),
        ),
        migrations.AddField(
            model_name='migrationplan',
            name='database',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='migration_plans', to='environments.database'),
        ),
        migrations.AddField(
            model_name='migrationrun',
            name='database',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='migration_runs', to='environments.database'),
        ),
        migrations.AddField(
            model_name='rehearsal',
            name='database',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='rehearsals', to='environments.database'),
        ),
        migrations.AddField(
            model_name='schemastanding',
            name='database',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='standings', to='environments.database'),
        ),
        migrations.AddField(
            model_name='stagedrevision',
            name='database',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='staged_revisions', to='environments.database'),
        ),
        migrations.AddField(
            model_name='environmentdatabase',
            name='database',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='places', to='environments.database'),
        ),
        migrations.AddField(
            model_name='environmentdatabase',
            name='environment',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='databases', to='environments.environment'),
        ),
        migrations.AddConstraint(
            model_name='database',
            constraint=models.UniqueConstraint(models.F('project'), django.db.models.functions.text.Lower('name'), name='database_name_once', violation_error_message='Two databases of a project need two names.'),
        ),
        migrations.AddConstraint(
            model_name='database',
            constraint=models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='database_has_a_name'),
        ),
        migrations.AddConstraint(
            model_name='database',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('runner__in', ['command', 'railway']), _negated=True), models.Q(('migration_command', ''), _negated=True), _connector='OR'), name='database_runner_has_command', violation_error_message='Give the migration command that is to be run.'),
        ),
        migrations.AddConstraint(
            model_name='environmentdatabase',
            constraint=models.UniqueConstraint(fields=('environment', 'database'), name='environment_database_once'),
        ),
    ]
