"""Labels and help texts only: nothing changes in the database."""

import django.core.validators
import django.db.models.deletion
import environments.models.project.general
import environments.models.project.protection
import portal.secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0034_credential_watch'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField(
            model_name='branch',
            name='head_at',
            field=models.DateTimeField(blank=True, help_text='When this head was first seen.', null=True),
        ),
        migrations.AlterField(
            model_name='branch',
            name='judged',
            field=models.CharField(blank=True, default='', help_text='The newest commit whose origin is known.', max_length=64),
        ),
        migrations.AlterField(
            model_name='branch',
            name='merge_rules',
            field=models.JSONField(blank=True, help_text='What GitHub requires of a merge (environments.github.MergeRules). Null: not known.', null=True),
        ),
        migrations.AlterField(
            model_name='branch',
            name='required_contexts',
            field=models.JSONField(blank=True, help_text="Checks that the branch's rules require. Null: the rules could not be read.", null=True),
        ),
        migrations.AlterField(
            model_name='branchprotection',
            name='closed',
            field=models.BooleanField(help_text='Whether the branch rules keep the portal from pushing here. Empty: not known.', null=True),
        ),
        migrations.AlterField(
            model_name='branchprotection',
            name='ran',
            field=models.JSONField(blank=True, help_text='Checks that ran on changes into the branch. Null: not known.', null=True),
        ),
        migrations.AlterField(
            model_name='connectioncheck',
            name='found',
            field=models.JSONField(blank=True, default=list, help_text='One JSON object for each credential.'),
        ),
        migrations.AlterField(
            model_name='database',
            name='alembic',
            field=models.CharField(blank=True, help_text='Path of alembic.ini or of the script directory in the repository. Empty: no longer migrated.', max_length=300, verbose_name='Alembic'),
        ),
        migrations.AlterField(
            model_name='database',
            name='migration_command',
            field=models.CharField(blank=True, default='', help_text="The project's command, run by the shell at the repository's root: cd backend && alembic upgrade head", max_length=500, validators=[django.core.validators.RegexValidator('://[^/\\s]*:[^/\\s]*@', 'Put no password into a command; name a variable that holds it.', inverse_match=True)]),
        ),
        migrations.AlterField(
            model_name='database',
            name='migration_variables',
            field=models.CharField(blank=True, default='', help_text='Other variables of the service that the command needs. Separate names with spaces.', max_length=1000),
        ),
        migrations.AlterField(
            model_name='database',
            name='name',
            field=models.CharField(default='main', help_text='Shown where the project has more than one database.', max_length=60),
        ),
        migrations.AlterField(
            model_name='database',
            name='position',
            field=models.PositiveSmallIntegerField(default=0, help_text="Production's databases are migrated in this order."),
        ),
        migrations.AlterField(
            model_name='database',
            name='public_variable',
            field=models.CharField(default='DATABASE_PUBLIC_URL', help_text="That service's variable with the address of its TCP proxy, which can be reached from outside Railway.", max_length=100),
        ),
        migrations.AlterField(
            model_name='database',
            name='runner',
            field=models.CharField(choices=[('portal', "the portal's own Alembic"), ('command', "the project's command, here"), ('railway', "the project's command, as pre-deploy command on Railway"), ('verify', 'Railway itself, while it deploys; the portal verifies')], default='portal', help_text='If Railway migrates, code comes first, because a deployment runs the migration. The portal reads the database before and after, so it needs an address that it can reach.', max_length=20, verbose_name='Migrations are run by'),
        ),
        migrations.AlterField(
            model_name='database',
            name='service',
            field=models.CharField(default='backend', help_text='The service whose code uses the database. On Railway it runs the migrations.', max_length=100),
        ),
        migrations.AlterField(
            model_name='database',
            name='variable',
            field=models.CharField(default='DATABASE_URL', help_text="The service's variable that holds the address.", max_length=100),
        ),
        migrations.AlterField(
            model_name='database',
            name='version_table',
            field=models.CharField(default='alembic_version', help_text='With its schema, if that is not the default: meta.alembic_version.', max_length=127),
        ),
        migrations.AlterField(
            model_name='databasestatus',
            name='beyond',
            field=models.JSONField(default=list, help_text='Revisions that only the database has.'),
        ),
        migrations.AlterField(
            model_name='databasestatus',
            name='commit',
            field=models.CharField(help_text='The head of the branch that was read.', max_length=64),
        ),
        migrations.AlterField(
            model_name='databasestatus',
            name='heads',
            field=models.JSONField(default=list, help_text="Alembic's heads at that commit."),
        ),
        migrations.AlterField(
            model_name='databasestatus',
            name='revisions',
            field=models.JSONField(help_text='Revisions that the database reported then.', null=True),
        ),
        migrations.AlterField(
            model_name='databasestatus',
            name='since',
            field=models.DateTimeField(help_text='When it entered this state.'),
        ),
        migrations.AlterField(
            model_name='deploykey',
            name='host_keys',
            field=models.TextField(blank=True, default='', help_text='The only host keys that the git server may present, one a line, as ssh-keyscan prints them.', max_length=20000),
        ),
        migrations.AlterField(
            model_name='deploykey',
            name='kind',
            field=models.CharField(help_text='Such as ed25519, rsa 4096 or ecdsa 256.', max_length=20),
        ),
        migrations.AlterField(
            model_name='deploykey',
            name='public_key',
            field=models.TextField(help_text='Add it on GitHub under Deploy keys.'),
        ),
        migrations.AlterField(
            model_name='deployment',
            name='containers',
            field=models.JSONField(blank=True, default=list, help_text="Railway's state of each container."),
        ),
        migrations.AlterField(
            model_name='deploymentlog',
            name='reads',
            field=models.PositiveSmallIntegerField(default=0, help_text='How many times it was read: the last lines may arrive late.'),
        ),
        migrations.AlterField(
            model_name='deploymentrequest',
            name='railway_id',
            field=models.CharField(blank=True, default='', help_text="Id of the deployment on Railway. Empty: Railway's answer was lost.", max_length=64),
        ),
        migrations.AlterField(
            model_name='environment',
            name='by_railway',
            field=models.BooleanField(default=False, help_text='Whether Railway created it for a pull request.'),
        ),
        migrations.AlterField(
            model_name='environment',
            name='config_etag',
            field=models.CharField(blank=True, default='', help_text='Changes whenever its settings change.', max_length=200),
        ),
        migrations.AlterField(
            model_name='environment',
            name='pull_number',
            field=models.PositiveIntegerField(blank=True, help_text='Number of its pull request, for a preview.', null=True),
        ),
        migrations.AlterField(
            model_name='environment',
            name='variables_at',
            field=models.DateTimeField(blank=True, help_text='When its variables were last read.', null=True),
        ),
        migrations.AlterField(
            model_name='environment',
            name='variables_etag',
            field=models.CharField(blank=True, default='', help_text='Value of config_etag when the variables were read.', max_length=200),
        ),
        migrations.AlterField(
            model_name='environment',
            name='variables_known',
            field=models.JSONField(blank=True, default=dict, help_text='State of the last reading, for comparison: the key, and the services read.'),
        ),
        migrations.AlterField(
            model_name='environment',
            name='variables_since',
            field=models.DateTimeField(blank=True, help_text='Changes of variables are recorded from this time on.', null=True),
        ),
        migrations.AlterField(
            model_name='environmentdatabase',
            name='revisions',
            field=models.JSONField(blank=True, help_text='Revisions that the database reported. Null: not known.', null=True),
        ),
        migrations.AlterField(
            model_name='environmentdatabase',
            name='tables',
            field=models.PositiveIntegerField(default=0, help_text='Number of its tables, if it reports no revision.'),
        ),
        migrations.AlterField(
            model_name='environmentdatabase',
            name='url',
            field=portal.secrets.EncryptedTextField(blank=True, default='', help_text="Set it only if the address in Railway's variable cannot be reached from here. It is not shown again."),
        ),
        migrations.AlterField(
            model_name='finding',
            name='attestable',
            field=models.BooleanField(default=False, help_text='Whether a person may sign for it, because no machine can see it.'),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='base',
            field=models.CharField(help_text='The commit whose revisions have already run.', max_length=64),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='digest',
            field=models.CharField(blank=True, default='', help_text='Digest of the files and the SQL.', max_length=64),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='for_release',
            field=models.CharField(blank=True, default='', help_text='Name of the release it is part of.', max_length=40),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='met',
            field=models.JSONField(default=dict, help_text="What was read of production's tables for the plan, and when."),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='renderer',
            field=models.CharField(blank=True, default='', help_text='Versions of the programs that rendered the SQL.', max_length=80),
        ),
        migrations.AlterField(
            model_name='migrationplan',
            name='starts',
            field=models.JSONField(blank=True, default=dict, help_text='For staging and production: revision to start from, revisions in order, digest, problem.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='applied',
            field=models.JSONField(default=list, help_text='Applied revisions, with seconds.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='backup',
            field=models.JSONField(default=dict, help_text='The backup of production that was taken before, and how to restore it.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='executed',
            field=models.JSONField(default=dict, help_text="Revision → key and text of each different statement, as the run's own process reported it."),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='for_release',
            field=models.CharField(blank=True, default='', help_text='Name of the release it is part of.', max_length=40),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='found',
            field=models.JSONField(blank=True, help_text='Revisions that the database reported before Railway could migrate it.', null=True),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='kept',
            field=models.JSONField(default=list, help_text='Statements of the failed revision that were not rolled back.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='planned',
            field=models.JSONField(default=list, help_text='Revisions to apply, in order: id, path, sha256.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='progress',
            field=models.JSONField(default=dict, help_text='The statement that is running and its progress. Empty: none is.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='railway',
            field=models.JSONField(default=dict, help_text='Settings that the run changed on Railway, with their earlier values.'),
        ),
        migrations.AlterField(
            model_name='migrationrun',
            name='target',
            field=models.JSONField(default=list, help_text='The heads that the run upgrades to.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='adopted',
            field=models.BooleanField(default=False, help_text='Somebody else created the environment, and a person let the portal take it over.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='deployed',
            field=models.JSONField(blank=True, default=dict, help_text='Service → commit, number of requests, time.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='environment_id',
            field=models.CharField(blank=True, default='', help_text="Railway's id of the environment.", max_length=64),
        ),
        migrations.AlterField(
            model_name='preview',
            name='head',
            field=models.CharField(help_text='The commit that the preview must run.', max_length=64),
        ),
        migrations.AlterField(
            model_name='preview',
            name='log',
            field=models.TextField(blank=True, default='', help_text='End of the log of what failed, without secrets.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='number',
            field=models.PositiveIntegerField(help_text='Number of the pull request.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='quiet',
            field=models.JSONField(blank=True, default=list, help_text='Services that pushes no longer deploy there.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='seen',
            field=models.CharField(blank=True, default='', help_text='Digest of the last known state.', max_length=64),
        ),
        migrations.AlterField(
            model_name='preview',
            name='services',
            field=models.JSONField(blank=True, default=list, help_text='Last known name, status, commit and address of each service.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='shared',
            field=models.JSONField(blank=True, default=list, help_text="Variables that have staging's own value."),
        ),
        migrations.AlterField(
            model_name='preview',
            name='still_since',
            field=models.DateTimeField(blank=True, help_text='Nothing has changed since this time.', null=True),
        ),
        migrations.AlterField(
            model_name='preview',
            name='told',
            field=models.JSONField(blank=True, default=dict, help_text='What was posted to GitHub: comment, deployment.'),
        ),
        migrations.AlterField(
            model_name='preview',
            name='variables_at',
            field=models.DateTimeField(blank=True, help_text='When its variables were last correct.', null=True),
        ),
        migrations.AlterField(
            model_name='preview',
            name='why_not',
            field=models.CharField(blank=True, default='', help_text='Why there is no preview, or no longer one.', max_length=200),
        ),
        migrations.AlterField(
            model_name='previewvariable',
            name='value',
            field=portal.secrets.EncryptedTextField(help_text='It is not shown again. References such as ${{backend.PORT}} are resolved in the preview.'),
        ),
        migrations.AlterField(
            model_name='project',
            name='deploy_minutes',
            field=models.PositiveIntegerField(default=20, help_text='After this time the promotion stops and asks a person.', verbose_name='Deploy time limit (minutes)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='deploy_order',
            field=models.CharField(choices=[('deploy_first', 'deploy, then migrate'), ('migrate_first', 'migrate, then deploy')], default='deploy_first', max_length=20, verbose_name='Order of deploy and migration'),
        ),
        migrations.AlterField(
            model_name='project',
            name='former_names',
            field=models.JSONField(default=list, editable=False, help_text='Earlier names of the repository, which Railway may still use.'),
        ),
        migrations.AlterField(
            model_name='project',
            name='git_url',
            field=models.CharField(blank=True, help_text="Leave empty for github.com. Set it to read the repository over SSH. The GitHub token is sent to GitHub's host only.", max_length=500, validators=[environments.models.project.general.check_git_address], verbose_name='Git address'),
        ),
        migrations.AlterField(
            model_name='project',
            name='lock_seconds',
            field=models.PositiveIntegerField(default=5, help_text='A statement that waits longer for a table lock is cancelled.', verbose_name='Lock time limit (seconds)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='name',
            field=models.CharField(max_length=100, unique=True, verbose_name='Name'),
        ),
        migrations.AlterField(
            model_name='project',
            name='portal_app',
            field=models.CharField(blank=True, default='', help_text='Its slug. Only this App may bypass the pull-request rule of staging.', max_length=100, verbose_name='GitHub App of the portal'),
        ),
        migrations.AlterField(
            model_name='project',
            name='pre_push',
            field=models.TextField(blank=True, default='npm run build\nnpm test', help_text='One a line; shown to authors on the page Pull requests.', verbose_name='Commands before pushing'),
        ),
        migrations.AlterField(
            model_name='project',
            name='preview_days',
            field=models.PositiveSmallIntegerField(default=14, help_text='After the last push. The next push recreates the preview.', verbose_name='Lifetime (days)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='preview_drafts',
            field=models.BooleanField(default=False, verbose_name='Also for drafts'),
        ),
        migrations.AlterField(
            model_name='project',
            name='preview_forks',
            field=models.BooleanField(default=False, help_text="Strangers' code would run with staging's variables.", verbose_name='Also for forks'),
        ),
        migrations.AlterField(
            model_name='project',
            name='preview_limit',
            field=models.PositiveSmallIntegerField(default=10, verbose_name='Previews at a time'),
        ),
        migrations.AlterField(
            model_name='project',
            name='preview_migrates',
            field=models.BooleanField(default=False, help_text="Only a database of the preview's own.", verbose_name="Migrate the preview's database"),
        ),
        migrations.AlterField(
            model_name='project',
            name='previews',
            field=models.BooleanField(default=False, help_text='Each preview is a Railway environment and costs money.', verbose_name='Create a preview for each pull request into staging'),
        ),
        migrations.AlterField(
            model_name='project',
            name='production_branch',
            field=models.CharField(default='main', max_length=200, verbose_name='Branch of production'),
        ),
        migrations.AlterField(
            model_name='project',
            name='production_environment',
            field=models.CharField(default='production', max_length=200, verbose_name='Railway environment of production'),
        ),
        migrations.AlterField(
            model_name='project',
            name='protected_approvals',
            field=models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MaxValueValidator(6)], verbose_name='Approvals of a pull request'),
        ),
        migrations.AlterField(
            model_name='project',
            name='protected_checks',
            field=models.JSONField(blank=True, default=environments.models.project.protection.default_checks, help_text='One a line. Only checks that run: one that never runs stops every merge.', verbose_name='Required checks of both branches'),
        ),
        migrations.AlterField(
            model_name='project',
            name='pull_comment_forks',
            field=models.BooleanField(default=False, help_text='To show their SQL. The process is isolated and has no secrets.', verbose_name='Execute revision files of forks'),
        ),
        migrations.AlterField(
            model_name='project',
            name='pull_comments',
            field=models.BooleanField(default=True, help_text='One comment, updated with each push.', verbose_name='Comment on pull requests with migrations'),
        ),
        migrations.AlterField(
            model_name='project',
            name='railway_project_id',
            field=models.CharField(blank=True, help_text='The ID in the address of the project on Railway.', max_length=64, verbose_name='Railway project ID'),
        ),
        migrations.AlterField(
            model_name='project',
            name='renamed_to',
            field=models.CharField(blank=True, default='', editable=False, help_text="The repository's present name on GitHub, if it was renamed. The portal reads it under this name.", max_length=201),
        ),
        migrations.AlterField(
            model_name='project',
            name='repository',
            field=models.CharField(help_text='Its name on GitHub, as owner/name.', max_length=201, validators=[django.core.validators.RegexValidator('^[\\w.-]{1,100}/[\\w.-]{1,100}\\Z', 'Write the repository as owner/name.')], verbose_name='GitHub repository'),
        ),
        migrations.AlterField(
            model_name='project',
            name='required_approvals',
            field=models.PositiveSmallIntegerField(default=1, help_text='By people other than the one who created the release. With 0, one person alone can promote to production.', validators=[django.core.validators.MaxValueValidator(5)], verbose_name='Approvals for a promotion'),
        ),
        migrations.AlterField(
            model_name='project',
            name='required_checks',
            field=models.JSONField(blank=True, default=list, help_text='One a line, in addition to the checks that branch protection requires.', verbose_name='Required checks'),
        ),
        migrations.AlterField(
            model_name='project',
            name='retention_hours',
            field=models.PositiveSmallIntegerField(blank=True, default=24, help_text='How long a replaced deployment can be restored: Free 24, Hobby 72, Pro 120, Enterprise 360. Leave empty if not known.', null=True, verbose_name='Image retention on Railway (hours)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='rollback_approvals',
            field=models.PositiveSmallIntegerField(default=1, help_text='By people other than the one who requested the rollback.', validators=[django.core.validators.MaxValueValidator(5)], verbose_name='Approvals for a rollback'),
        ),
        migrations.AlterField(
            model_name='project',
            name='second_factor',
            field=models.BooleanField(default=False, help_text='To promote, approve, accept a risk, roll back, skip or reset.', verbose_name='Require a second factor'),
        ),
        migrations.AlterField(
            model_name='project',
            name='shares_repository',
            field=models.BooleanField(default=False, editable=False, help_text='Another project releases the same repository. Only projects from before that was refused have this.'),
        ),
        migrations.AlterField(
            model_name='project',
            name='sign_in_minutes',
            field=models.PositiveSmallIntegerField(blank=True, help_text='For the same actions. Leave empty to accept any sign-in.', null=True, validators=[django.core.validators.MaxValueValidator(1440)], verbose_name='Require a recent sign-in (minutes)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='soak_minutes',
            field=models.PositiveIntegerField(default=30, help_text='How long staging runs a migration before production may.', validators=[django.core.validators.MaxValueValidator(20160)], verbose_name='Soak time (minutes)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='staging_branch',
            field=models.CharField(default='staging', max_length=200, verbose_name='Branch of staging'),
        ),
        migrations.AlterField(
            model_name='project',
            name='staging_environment',
            field=models.CharField(default='staging', max_length=200, verbose_name='Railway environment of staging'),
        ),
        migrations.AlterField(
            model_name='project',
            name='statement_seconds',
            field=models.PositiveIntegerField(default=900, help_text='A statement that takes longer is cancelled.', verbose_name='Statement time limit (seconds)'),
        ),
        migrations.AlterField(
            model_name='project',
            name='watch_only',
            field=models.BooleanField(default=False, help_text='The portal writes nothing to GitHub, Railway or a database; it shows and records what it would do.', verbose_name='Watch only'),
        ),
        migrations.AlterField(
            model_name='railwayratelimit',
            name='blocked_until',
            field=models.DateTimeField(blank=True, help_text='Railway answered 429 and allows requests again at this time.', null=True),
        ),
        migrations.AlterField(
            model_name='railwayratelimit',
            name='hour',
            field=models.DateTimeField(help_text='Start of the hour in which `used` counts.'),
        ),
        migrations.AlterField(
            model_name='railwayratelimit',
            name='limit',
            field=models.PositiveIntegerField(blank=True, help_text='As reported by Railway. Empty: not reported.', null=True),
        ),
        migrations.AlterField(
            model_name='railwayratelimit',
            name='token',
            field=models.CharField(help_text='Digest that identifies the token.', max_length=16, unique=True),
        ),
        migrations.AlterField(
            model_name='railwaysync',
            name='heard_at',
            field=models.DateTimeField(blank=True, help_text='When a webhook last announced a change. Empty: no webhook has.', null=True),
        ),
        migrations.AlterField(
            model_name='railwaysync',
            name='pace',
            field=models.FloatField(default=0, help_text='Seconds until the next reading.'),
        ),
        migrations.AlterField(
            model_name='railwaysync',
            name='pr_environments',
            field=models.BooleanField(default=False, help_text='Whether Railway creates environments for pull requests.'),
        ),
        migrations.AlterField(
            model_name='railwaysync',
            name='seen',
            field=models.CharField(blank=True, default='', help_text='Digest of the last known deployments.', max_length=64),
        ),
        migrations.AlterField(
            model_name='railwaysync',
            name='unheard_since',
            field=models.DateTimeField(blank=True, help_text='Time of the first later change that no webhook announced.', null=True),
        ),
        migrations.AlterField(
            model_name='railwaysync',
            name='watched_until',
            field=models.DateTimeField(blank=True, help_text='Until this time a release or a person needs fresh rows.', null=True),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='changes',
            field=models.JSONField(default=list, help_text='What the migrations change in the schema.'),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='drift',
            field=models.JSONField(blank=True, help_text='Differences between the real schema and the one that the migrations make.', null=True),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='files',
            field=models.JSONField(default=list, help_text='Revision files that ran, in order: id, path, sha256.'),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='for_release',
            field=models.CharField(blank=True, default='', help_text='Name of the release it is part of.', max_length=40),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='left',
            field=models.JSONField(blank=True, help_text='Differences that remain after the downgrade. Null: not known.', null=True),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='phase',
            field=models.CharField(blank=True, default='', help_text='The current phase.', max_length=20),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='phases',
            field=models.JSONField(default=list, help_text='Finished phases, with seconds.'),
        ),
        migrations.AlterField(
            model_name='repair',
            name='before',
            field=models.CharField(blank=True, default='', help_text='The state before the write.', max_length=200),
        ),
        migrations.AlterField(
            model_name='repair',
            name='for_release',
            field=models.CharField(blank=True, default='', help_text='Name of the release it is part of.', max_length=40),
        ),
        migrations.AlterField(
            model_name='repair',
            name='subject',
            field=models.CharField(blank=True, default='', help_text='Name of the instance.', max_length=420),
        ),
        migrations.AlterField(
            model_name='repair',
            name='wanted',
            field=models.CharField(blank=True, default='', help_text='The branch or commit that it must end at.', max_length=200),
        ),
        migrations.AlterField(
            model_name='runbookreading',
            name='rules',
            field=models.PositiveIntegerField(help_text='Version of the rules that were used.'),
        ),
        migrations.AlterField(
            model_name='service',
            name='belongs',
            field=models.BooleanField(blank=True, help_text="Whether a release waits for it. Unknown: it does if it is built from the project's repository.", null=True, verbose_name='Belongs to the release'),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='at_start',
            field=models.CharField(choices=[('pre_deploy', 'its pre-deploy command runs Alembic'), ('start', 'its start command runs Alembic'), ('no', 'its commands on Railway do not run Alembic'), ('unknown', 'whether it runs Alembic at its start is not known')], default='unknown', help_text='Whether its commands run Alembic when it starts. The commands themselves are not stored: they may contain secrets.', max_length=10),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='at_start_before',
            field=models.CharField(choices=[('pre_deploy', 'its pre-deploy command runs Alembic'), ('start', 'its start command runs Alembic'), ('no', 'its commands on Railway do not run Alembic'), ('unknown', 'whether it runs Alembic at its start is not known')], default='no', help_text='The same, at the reading before. A warning is withdrawn only when two readings agree.', max_length=10),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='autodeploy',
            field=models.BooleanField(blank=True, help_text='Whether a push deploys it. Empty: not known.', null=True),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='config_file',
            field=models.CharField(blank=True, default='', help_text='Path of its configuration as code. Empty: railway.toml or railway.json.', max_length=500),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='cron',
            field=models.CharField(blank=True, default='', help_text='Its cron schedule. Empty: it runs all the time.', max_length=100),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='image',
            field=models.CharField(blank=True, default='', help_text='The Docker image, if it is not built from GitHub.', max_length=300),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='in_repository',
            field=models.JSONField(blank=True, default=dict, help_text='Its configuration as code at the commit that it serves.'),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='judged',
            field=models.CharField(blank=True, default='', help_text='The newest deployment whose origin is known.', max_length=64),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='repository',
            field=models.CharField(blank=True, default='', help_text='Empty if it is not built from GitHub.', max_length=201),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='rolled_back_from',
            field=models.CharField(blank=True, default='', help_text='The commit from which somebody rolled it back on Railway.', max_length=64),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='root_directory',
            field=models.CharField(blank=True, default='', help_text="Directory that it is built from. Empty: the repository's root.", max_length=500),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='seen_at',
            field=models.DateTimeField(blank=True, help_text='When its state was last read. Empty: never.', null=True),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='unchanged',
            field=models.JSONField(blank=True, default=dict, help_text='The commit it serves, what it watches, and for each other commit the first watched path that differs.'),
        ),
        migrations.AlterField(
            model_name='serviceinstance',
            name='watch_patterns',
            field=models.JSONField(blank=True, default=list, help_text='Only a push that changes these paths deploys it. Empty: every push.'),
        ),
        migrations.AlterField(
            model_name='smoketest',
            name='expects_commit',
            field=models.BooleanField(default=True, help_text='If the answer names a commit, it must be the one that was shipped.'),
        ),
        migrations.AlterField(
            model_name='smoketest',
            name='on_production',
            field=models.BooleanField(default=True, help_text='Run against production after the deployment.', verbose_name='production'),
        ),
        migrations.AlterField(
            model_name='smoketest',
            name='on_staging',
            field=models.BooleanField(default=True, help_text='Run against staging before the promotion.', verbose_name='staging'),
        ),
        migrations.AlterField(
            model_name='stagedrevision',
            name='rendered',
            field=models.JSONField(blank=True, help_text='The SQL that was planned when staging ran it. Null: not stored.', null=True),
        ),
        migrations.AlterField(
            model_name='stagingreset',
            name='closed_at',
            field=models.DateTimeField(blank=True, help_text='When it was signed or cancelled.', null=True),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='before',
            field=models.JSONField(default=list, help_text='Content of the version table before the stamp.'),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='commit',
            field=models.CharField(help_text='The commit whose revisions are compared.', max_length=64),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='differences',
            field=models.JSONField(default=list, help_text='Differences from the most similar revision, as sentences.'),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='equal',
            field=models.JSONField(default=list, help_text='Revisions whose schema is equal, newest first: rows of the version table.'),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='nearest',
            field=models.JSONField(default=list, help_text='The most similar revision, if none is equal.'),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='schema',
            field=models.CharField(blank=True, default='', help_text='Digest of the real schema. Empty: not read.', max_length=64),
        ),
        migrations.AlterField(
            model_name='stamp',
            name='target',
            field=models.JSONField(default=list, help_text='Rows to write into the version table. Empty: not proposed.'),
        ),
        migrations.AlterField(
            model_name='variable',
            name='fingerprint',
            field=models.CharField(blank=True, default='', help_text='Keyed fingerprint of the value. Empty: the value is sealed or empty.', max_length=64),
        ),
        migrations.AlterField(
            model_name='variable',
            name='host_fingerprint',
            field=models.CharField(blank=True, default='', help_text='Keyed fingerprint of the host in the value.', max_length=64),
        ),
        migrations.AlterField(
            model_name='variable',
            name='host_reference',
            field=models.CharField(blank=True, default='', help_text='The reference that the host is.', max_length=420),
        ),
        migrations.AlterField(
            model_name='variable',
            name='references',
            field=models.JSONField(default=list, help_text='References in its value, such as backend.RAILWAY_PUBLIC_DOMAIN.'),
        ),
        migrations.AlterField(
            model_name='variable',
            name='service',
            field=models.ForeignKey(blank=True, help_text='Name of its service. Empty: a shared variable.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='variables', to='environments.service'),
        ),
        migrations.AlterField(
            model_name='variablerule',
            name='allowed',
            field=models.CharField(blank=True, default='', help_text='For “separate”: names whose values may be equal. Separate them with commas.', max_length=500),
        ),
        migrations.AlterField(
            model_name='variablerule',
            name='name',
            field=models.CharField(help_text='Name of a variable; * stands for any letters.', max_length=200),
        ),
        migrations.AlterField(
            model_name='variablerule',
            name='service',
            field=models.CharField(default='*', help_text='Name of a service; * stands for any letters.', max_length=200),
        ),
        migrations.AlterField(
            model_name='variablerule',
            name='where',
            field=models.CharField(blank=True, choices=[('staging', 'staging'), ('production', 'production')], default='', help_text='For “only here”: the environment that the variable belongs to.', max_length=20),
        ),
        migrations.AlterField(
            model_name='withheldwrite',
            name='content',
            field=models.JSONField(default=dict, help_text='What would have been sent, without secrets.'),
        ),
        migrations.AlterField(
            model_name='withheldwrite',
            name='doing',
            field=models.CharField(help_text='Completes the sentence “the portal would now …”.', max_length=300),
        ),
        migrations.AlterConstraint(
            model_name='database',
            name='database_runner_has_command',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('runner__in', ['command', 'railway']), _negated=True), models.Q(('migration_command', ''), _negated=True), _connector='OR'), name='database_runner_has_command', violation_error_message='Enter the migration command.'),
        ),
        ]),
    ]
