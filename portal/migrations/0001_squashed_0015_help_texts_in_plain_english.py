"""Migrations 0001 to 0015 as one, for an empty database.

Tables and columns get their first names and are renamed, because constraints, indexes and sequences keep the first one.
"""

from importlib import import_module

import django.db.models.deletion
import django.utils.timezone
import portal.logs.trace
import portal.secrets
from django.conf import settings
from django.db import migrations, models
from portal.migrations._together import Together

AUDIT_CHAIN = import_module("portal.migrations.0002_audit_chain")


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('portal', '0001_initial'),
        ('portal', '0002_audit_chain'),
        ('portal', '0003_installation'),
        ('portal', '0004_second_factor'),
        ('portal', '0005_changes_by_two_people'),
        ('portal', '0006_health'),
        ('portal', '0007_trace_of_jobs'),
        ('portal', '0008_keys_of_every_service'),
        ('portal', '0009_plain_names'),
        ('portal', '0010_first_start'),
        ('portal', '0011_credentials'),
        ('portal', '0012_access_tokens'),
        ('portal', '0013_who_holds_a_job'),
        ('portal', '0014_new_github_app'),
        ('portal', '0015_help_texts_in_plain_english'),
    ]

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        Together([
            migrations.CreateModel(
                name='AuditWatch',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('status', models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('waiting', 'waiting'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('needs_person', 'needs a person'), ('cancelled', 'cancelled')], default='queued', max_length=20)),
                    ('sentence', models.TextField(blank=True, default='')),
                    ('deaths', models.PositiveIntegerField(default=0, help_text='Claims since the last recorded outcome.')),
                    ('fence', models.PositiveBigIntegerField(default=0)),
                    ('lease_until', models.DateTimeField(blank=True, null=True)),
                    ('wake_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('woken_at', models.DateTimeField(blank=True, null=True)),
                    ('heartbeat_at', models.DateTimeField(blank=True, null=True)),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('started_at', models.DateTimeField(blank=True, null=True)),
                    ('finished_at', models.DateTimeField(blank=True, null=True)),
                    ('single', models.BooleanField(default=True, unique=True)),
                    ('ok', models.BooleanField(null=True)),
                    ('at', models.DateTimeField(blank=True, null=True)),
                    ('position', models.PositiveBigIntegerField(default=0)),
                    ('trace', models.CharField(blank=True, default=portal.logs.trace.current, help_text='Of the request or delivery that woke it last.', max_length=64)),
                    ('holder', models.CharField(blank=True, db_default='', default='', help_text='Host and process of the worker that claimed it last.', max_length=120)),
                ],
                options={
                    'default_permissions': (),
                },
            ),
            migrations.CreateModel(
                name='Heartbeat',
                fields=[
                    ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                    ('token', models.CharField(max_length=100)),
                    ('at', models.DateTimeField()),
                ],
                options={
                    'default_permissions': (),
                },
            ),
            migrations.CreateModel(
                name='AuditEvent',
                fields=[
                    ('position', models.BigIntegerField(primary_key=True, serialize=False)),
                    ('at', models.DateTimeField()),
                    ('action', models.TextField()),
                    ('outcome', models.TextField(choices=[('done', 'Done'), ('refused', 'Refused'), ('failed', 'Failed'), ('found', 'Found')])),
                    ('actor_id', models.BigIntegerField(null=True)),
                    ('actor_name', models.TextField()),
                    ('scope', models.TextField()),
                    ('subject_kind', models.TextField()),
                    ('subject_id', models.TextField()),
                    ('subject_label', models.TextField()),
                    ('sentence', models.TextField()),
                    ('data_json', models.TextField(db_column='data')),
                    ('group', models.UUIDField()),
                    ('digest', models.BinaryField()),
                ],
                options={
                    'verbose_name': 'audit event',
                    'ordering': ['-position'],
                    'default_permissions': ('view',),
                    'managed': False,
                },
            ),
            migrations.CreateModel(
                name='AuditHead',
                fields=[
                    ('single', models.BooleanField(default=True, primary_key=True, serialize=False)),
                    ('position', models.BigIntegerField(default=0)),
                    ('digest', models.BinaryField()),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.CheckConstraint(condition=models.Q(('single', True)), name='portal_audithead_single_row')],
                },
            ),
            migrations.CreateModel(
                name='WebhookDelivery',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('source', models.TextField(choices=[('github', 'GitHub'), ('railway', 'Railway')])),
                    ('delivery', models.TextField(help_text="GitHub's delivery id, or the SHA-256 of a Railway body.")),
                    ('event', models.TextField(blank=True)),
                    ('action', models.TextField(blank=True)),
                    ('received_at', models.DateTimeField()),
                    ('size', models.PositiveIntegerField(help_text='Bytes received, before trimming.')),
                    ('body', models.TextField(blank=True, help_text='The beginning of the body.')),
                    ('outcome', models.TextField(choices=[('handled', 'Handled'), ('ignored', 'Nothing handles it'), ('unreadable', 'Could not be read'), ('failed', 'Its handler failed')])),
                    ('error', models.TextField(blank=True)),
                    ('times', models.PositiveIntegerField(default=1, help_text='How many times the handler was tried.')),
                ],
                options={
                    'verbose_name_plural': 'webhook deliveries',
                    'ordering': ['-pk'],
                    'default_permissions': ('view',),
                    'constraints': [models.UniqueConstraint(fields=('source', 'delivery'), name='portal_webhookdelivery_once')],
                },
            ),
            migrations.CreateModel(
                name='Installation',
                fields=[
                    ('single', models.BooleanField(default=True, primary_key=True, serialize=False)),
                    ('sandbox', models.BooleanField()),
                    ('settled_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('key_check', portal.secrets.EncryptedTextField(blank=True, default='', help_text='Encrypted text that each start decrypts to check the keys.')),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.CheckConstraint(condition=models.Q(('single', True)), name='portal_installation_single_row')],
                },
            ),
            migrations.CreateModel(
                name='Authenticator',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(help_text='The human-readable name of this device.', max_length=64)),
                    ('confirmed', models.BooleanField(default=True, help_text='Is this device ready for use?')),
                    ('throttling_failure_timestamp', models.DateTimeField(blank=True, default=None, help_text='A timestamp of the last failed verification attempt. Null if last attempt succeeded.', null=True)),
                    ('throttling_failure_count', models.PositiveIntegerField(default=0, help_text='Number of successive failed attempts.')),
                    ('secret', portal.secrets.EncryptedTextField()),
                    ('last_step', models.BigIntegerField(default=-1, help_text='No code of this step or an earlier one counts again.')),
                    ('added_at', models.DateTimeField()),
                    ('user', models.ForeignKey(help_text='The user that this device belongs to.', on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.UniqueConstraint(fields=('user',), name='portal_authenticator_one_each')],
                },
            ),
            migrations.CreateModel(
                name='RecoveryCode',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('digest', models.CharField(max_length=64)),
                    ('used_at', models.DateTimeField(null=True)),
                    ('authenticator', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='recovery_codes', to='portal.authenticator')),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.UniqueConstraint(fields=('authenticator', 'digest'), name='portal_recoverycode_once')],
                },
            ),
            migrations.CreateModel(
                name='ConfigurationChange',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('kind', models.CharField(help_text='Label of the model, such as environments.project.', max_length=100)),
                    ('object_id', models.BigIntegerField()),
                    ('label', models.CharField(help_text='Name of the changed object.', max_length=200)),
                    ('scope', models.CharField(blank=True, default='', help_text='Slug of the project; empty for people.', max_length=50)),
                    ('values', models.JSONField(help_text='Field → {from, to}.')),
                    ('secrets', portal.secrets.EncryptedTextField(blank=True, default='')),
                    ('state', models.CharField(choices=[('waiting', 'waiting for a second person'), ('applied', 'applied'), ('declined', 'declined'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10)),
                    ('proposed_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('decided_at', models.DateTimeField(blank=True, null=True)),
                    ('alone', models.CharField(blank=True, default='', help_text='Why no second person was needed.', max_length=200)),
                    ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'ordering': ['-pk'],
                    'permissions': [('confirm_configurationchange', 'Can confirm a change that somebody else proposed')],
                    'default_permissions': ('view',),
                    'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['scope'], name='change_waiting')],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('kind', 'object_id'), name='change_one_waiting'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'waiting'), ('decided_at', None), ('decided_by', None)), models.Q(models.Q(('state', 'waiting'), _negated=True), ('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='change_decided_by_a_person'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'applied'), _negated=True), models.Q(('alone', ''), _negated=True), models.Q(('decided_by', models.F('proposed_by')), _negated=True), _connector='OR'), name='change_by_two_people')],
                },
            ),
            migrations.CreateModel(
                name='RoleGrant',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('confirmed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('granted_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='auth.group')),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.UniqueConstraint(fields=('user', 'group'), name='role_grant_once', nulls_distinct=False)],
                },
            ),
            migrations.CreateModel(
                name='Observation',
                fields=[
                    ('name', models.CharField(max_length=100, primary_key=True, serialize=False)),
                    ('value', models.JSONField()),
                    ('at', models.DateTimeField()),
                ],
                options={
                    'default_permissions': (),
                },
            ),
            migrations.CreateModel(
                name='HealthWatch',
                fields=[
                    ('single', models.BooleanField(default=True, primary_key=True, serialize=False)),
                    ('evaluated_at', models.DateTimeField(blank=True, null=True)),
                    ('server_started_at', models.DateTimeField(blank=True, help_text='Start of the PostgreSQL server.', null=True)),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.CheckConstraint(condition=models.Q(('single', True)), name='portal_healthwatch_single_row')],
                },
            ),
            migrations.CreateModel(
                name='Incident',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('check_name', models.CharField(max_length=60)),
                    ('subject', models.CharField(blank=True, default='', help_text='What the incident is about; empty for the portal itself.', max_length=100)),
                    ('scope', models.CharField(blank=True, default='', help_text='Slug of the project the incident is about.', max_length=50)),
                    ('state', models.CharField(max_length=10)),
                    ('sentence', models.TextField()),
                    ('opened_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('announced_at', models.DateTimeField(blank=True, null=True)),
                    ('closed_at', models.DateTimeField(blank=True, null=True)),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.UniqueConstraint(condition=models.Q(('closed_at', None)), fields=('check_name', 'subject'), name='portal_incident_one_open')],
                },
            ),
            migrations.CreateModel(
                name='ProcessReport',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('role', models.CharField(choices=[('worker', 'worker'), ('web', 'web server')], max_length=10)),
                    ('host', models.CharField(max_length=100)),
                    ('pid', models.PositiveIntegerField()),
                    ('version', models.CharField(max_length=40)),
                    ('started_at', models.DateTimeField()),
                    ('at', models.DateTimeField(help_text="Time of the report, by the database's clock.")),
                    ('disk_free', models.PositiveBigIntegerField(help_text='Bytes free on the disk of PORTAL_VAR_DIR.')),
                    ('disk_total', models.PositiveBigIntegerField()),
                    ('clock_skew', models.FloatField(help_text="Seconds by which the host's clock is ahead of the database's.")),
                ],
                options={
                    'default_permissions': (),
                    'constraints': [models.UniqueConstraint(fields=('role', 'host', 'pid'), name='portal_processreport_once')],
                },
            ),
            migrations.CreateModel(
                name='SetupCode',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('digest', models.CharField(max_length=64, unique=True)),
                    ('made_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                ],
                options={
                    'default_permissions': (),
                },
            ),
            migrations.CreateModel(
                name='SetupGuess',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('address', models.CharField(max_length=64, unique=True)),
                    ('failures', models.PositiveIntegerField(default=0)),
                    ('since', models.DateTimeField()),
                ],
                options={
                    'default_permissions': (),
                },
            ),
            migrations.CreateModel(
                name='ServiceCredential',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('service', models.CharField(choices=[('github', 'GitHub'), ('railway', 'Railway')], max_length=10)),
                    ('scope', models.CharField(blank=True, default='', help_text='Slug of the project; empty for every project.', max_length=50)),
                    ('kind', models.CharField(choices=[('token', 'token'), ('project_token', 'project token'), ('app', 'GitHub App')], default='token', max_length=20)),
                    ('secret', portal.secrets.EncryptedTextField(help_text="The token, or the App's private key.")),
                    ('app_id', models.CharField(blank=True, default='', max_length=20)),
                    ('installation_id', models.CharField(blank=True, default='', max_length=20)),
                    ('app_slug', models.CharField(blank=True, default='', max_length=100)),
                    ('changed_at', models.DateTimeField()),
                    ('changed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'verbose_name': 'credential',
                    'constraints': [models.UniqueConstraint(fields=('service', 'scope'), name='portal_servicecredential_once'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'app'), _negated=True), models.Q(('service', 'github'), models.Q(('app_id', ''), _negated=True)), _connector='OR'), name='portal_servicecredential_app_is_githubs')],
                },
            ),
            migrations.CreateModel(
                name='AccessToken',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=60)),
                    ('digest', models.CharField(max_length=64, unique=True)),
                    ('made_at', models.DateTimeField()),
                    ('expires_at', models.DateTimeField()),
                    ('used_at', models.DateTimeField(blank=True, null=True)),
                    ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='access_tokens', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'ordering': ['-made_at', '-pk'],
                    'default_permissions': (),
                },
            ),
            migrations.CreateModel(
                name='NewGitHubApp',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('scope', models.CharField(blank=True, default='', max_length=50, unique=True)),
                    ('app_id', models.CharField(max_length=20)),
                    ('app_slug', models.CharField(max_length=100)),
                    ('private_key', portal.secrets.EncryptedTextField()),
                    ('made_at', models.DateTimeField()),
                    ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'default_permissions': (),
                },
            ),
        ]),
        migrations.RenameField('auditwatch', 'deaths', 'crashes'),
        migrations.RunSQL(AUDIT_CHAIN.RULES, AUDIT_CHAIN.UNDO),
    ]
