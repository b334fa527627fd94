"""Labels and help texts only: nothing changes in the database."""

import django.db.models.deletion
import portal.secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0035_help_texts_in_plain_english'),
        ('releases', '0022_rollback_assessment_and_comments'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField(
            model_name='approval',
            name='content',
            field=models.CharField(help_text='Digest of the candidate and its revision files.', max_length=64),
        ),
        migrations.AlterField(
            model_name='approval',
            name='lapsed_at',
            field=models.DateTimeField(blank=True, help_text='When a change of configuration invalidated it.', null=True),
        ),
        migrations.AlterField(
            model_name='channel',
            name='address',
            field=portal.secrets.EncryptedTextField(help_text="The webhook's address, which is a secret, or an e-mail address."),
        ),
        migrations.AlterField(
            model_name='channel',
            name='kinds',
            field=models.JSONField(default=list, help_text='Names from releases.notifications.kinds.'),
        ),
        migrations.AlterField(
            model_name='channel',
            name='place',
            field=models.CharField(help_text='The part of the address that is not secret.', max_length=300),
        ),
        migrations.AlterField(
            model_name='channel',
            name='secret',
            field=portal.secrets.EncryptedTextField(blank=True, default='', help_text='Key that signs what a signed webhook receives.'),
        ),
        migrations.AlterField(
            model_name='checklistitem',
            name='gate',
            field=models.CharField(blank=True, default='', help_text='The gate that decides the item. Empty: a person ticks it.', max_length=40),
        ),
        migrations.AlterField(
            model_name='checklistitem',
            name='link',
            field=models.CharField(blank=True, default='', help_text='A page to look at (optional).', max_length=500),
        ),
        migrations.AlterField(
            model_name='checklisttemplate',
            name='project',
            field=models.ForeignKey(blank=True, help_text='Empty: the default for every project.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='checklist_templates', to='environments.project'),
        ),
        migrations.AlterField(
            model_name='checklisttemplateitem',
            name='gate',
            field=models.CharField(blank=True, default='', help_text='The gate that decides the item. Empty: a person ticks it.', max_length=40),
        ),
        migrations.AlterField(
            model_name='checklisttemplateitem',
            name='link',
            field=models.CharField(blank=True, default='', help_text='A page to look at (optional).', max_length=500),
        ),
        migrations.AlterField(
            model_name='downgrade',
            name='database',
            field=models.CharField(help_text='Name of the database, typed by the person: its name on the server, or here if there are several.', max_length=200),
        ),
        migrations.AlterField(
            model_name='downgrade',
            name='file',
            field=models.JSONField(help_text='The revision file that is undone: id, path, sha256.'),
        ),
        migrations.AlterField(
            model_name='downgrade',
            name='losses',
            field=models.JSONField(default=list, help_text='Counted rows that the downgrade would delete.'),
        ),
        migrations.AlterField(
            model_name='downgrade',
            name='start',
            field=models.JSONField(help_text='Revisions that the database reports.'),
        ),
        migrations.AlterField(
            model_name='downgrade',
            name='target',
            field=models.CharField(help_text='The revision to downgrade to, or base.', max_length=200),
        ),
        migrations.AlterField(
            model_name='githubsync',
            name='cursor',
            field=models.CharField(blank=True, default='', help_text='Where the next page of pull requests begins.', max_length=200),
        ),
        migrations.AlterField(
            model_name='githubsync',
            name='pace',
            field=models.FloatField(db_default=0.0, default=0.0, help_text='Seconds between two readings.'),
        ),
        migrations.AlterField(
            model_name='githubsync',
            name='relation',
            field=models.JSONField(blank=True, default=dict, help_text='How staging and main differ (`github_mirror.relation`).'),
        ),
        migrations.AlterField(
            model_name='keptvariables',
            name='key',
            field=models.CharField(help_text='Identifies the key of the fingerprints.', max_length=16),
        ),
        migrations.AlterField(
            model_name='keptvariables',
            name='read',
            field=models.JSONField(help_text='Kinds of the environments whose variables could be read.'),
        ),
        migrations.AlterField(
            model_name='notice',
            name='position',
            field=models.BigIntegerField(blank=True, help_text='Position of the audit event. Empty: a test message.', null=True),
        ),
        migrations.AlterField(
            model_name='promotion',
            name='found',
            field=models.JSONField(blank=True, help_text="Database → revisions that production's reported then.", null=True),
        ),
        migrations.AlterField(
            model_name='promotion',
            name='gates',
            field=models.JSONField(default=list, help_text='Results of the gates when the promotion started.'),
        ),
        migrations.AlterField(
            model_name='promotionstep',
            name='called',
            field=models.CharField(blank=True, default='', help_text='Name of the database, if the project had several.', max_length=60),
        ),
        migrations.AlterField(
            model_name='promotionstep',
            name='database',
            field=models.ForeignKey(blank=True, help_text='The database of a migration step.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='environments.database'),
        ),
        migrations.AlterField(
            model_name='promotionstep',
            name='deploy_wanted',
            field=models.JSONField(default=list, help_text='Services that a person asked to deploy.'),
        ),
        migrations.AlterField(
            model_name='promotionstep',
            name='looks',
            field=models.PositiveIntegerField(default=0, help_text='How many times the step read the current state.'),
        ),
        migrations.AlterField(
            model_name='promotionstep',
            name='sentence',
            field=models.TextField(blank=True, default='', help_text='What happened, or what the step waits for.'),
        ),
        migrations.AlterField(
            model_name='promotionstep',
            name='world',
            field=models.TextField(blank=True, default='', help_text='The current state that the step read.'),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='blocked_at',
            field=models.DateTimeField(blank=True, help_text="Since when GitHub has blocked the merge although the portal's own status is green.", null=True),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='checks',
            field=models.JSONField(blank=True, help_text='Its checks. Null: they could not be read.', null=True),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='cut_wrong',
            field=models.TextField(blank=True, default='', help_text='Why its branch does not start from staging.'),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='fork',
            field=models.BooleanField(default=False, help_text='Whether its branch is in another repository.'),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='merge_state',
            field=models.CharField(blank=True, default='', help_text="GitHub's `mergeStateStatus`, in lower case.", max_length=20),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='mergeable',
            field=models.CharField(blank=True, default='', help_text="GitHub's `mergeable`, in lower case.", max_length=20),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='merging',
            field=models.JSONField(blank=True, help_text="For a release's pull request: open conversations, unsigned commits, reviews.", null=True),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='migrations',
            field=models.JSONField(blank=True, default=list, help_text='Its revision files: id, path, kind of change.'),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='migrations_problem',
            field=models.TextField(blank=True, default='', help_text='What will be wrong with the migrations once it is merged.'),
        ),
        migrations.AlterField(
            model_name='pullrequest',
            name='read_for',
            field=models.CharField(blank=True, default='', help_text='The range base..head that was read. Empty: not read yet.', max_length=140),
        ),
        migrations.AlterField(
            model_name='pullrequestcomment',
            name='about',
            field=models.CharField(blank=True, default='', help_text='Digest of the state for which it was last woken.', max_length=64),
        ),
        migrations.AlterField(
            model_name='pullrequestcomment',
            name='content',
            field=models.CharField(blank=True, default='', help_text='Digest of the files that were read.', max_length=64),
        ),
        migrations.AlterField(
            model_name='pullrequestcomment',
            name='told',
            field=models.JSONField(blank=True, default=dict, help_text='What was posted to GitHub: comment, digest, problem.'),
        ),
        migrations.AlterField(
            model_name='pullrequestcomment',
            name='unread',
            field=models.CharField(blank=True, default='', help_text='Why the SQL was not read.', max_length=300),
        ),
        migrations.AlterField(
            model_name='release',
            name='back_merge',
            field=models.JSONField(blank=True, default=dict, help_text='For a hotfix: the pull request into staging, and whether staging contains the hotfix.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='base',
            field=models.CharField(help_text="Head of production's branch when the candidate was pinned.", max_length=64),
        ),
        migrations.AlterField(
            model_name='release',
            name='carried',
            field=models.JSONField(blank=True, default=dict, help_text='Rolled-back releases that it would ship again (`gates.carried`).'),
        ),
        migrations.AlterField(
            model_name='release',
            name='collected',
            field=models.CharField(blank=True, default='', help_text='The candidate whose commits and migrations are stored.', max_length=64),
        ),
        migrations.AlterField(
            model_name='release',
            name='commits',
            field=models.JSONField(default=list, help_text='Commits, newest first: sha, title, author, at.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='edits',
            field=models.JSONField(blank=True, default=list, help_text='Shipped revision files that were changed: revision, path, sha256, kind.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='migrations_problem',
            field=models.TextField(blank=True, default='', help_text='Why the migrations could not be read, or what is wrong with them.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='moved',
            field=models.JSONField(blank=True, default=dict, help_text='What the candidate gained when it last moved.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='pull_number',
            field=models.PositiveIntegerField(blank=True, help_text='Number of the promotion pull request.', null=True),
        ),
        migrations.AlterField(
            model_name='release',
            name='record',
            field=models.JSONField(blank=True, default=dict, help_text='The checklist as it was when the release ended (`gates.record`).'),
        ),
        migrations.AlterField(
            model_name='release',
            name='uncovered',
            field=models.JSONField(blank=True, default=list, help_text='New revision files outside the Alembic directories.'),
        ),
        migrations.AlterField(
            model_name='releasereconciler',
            name='drift',
            field=models.JSONField(blank=True, help_text='Changes of variables since the last release (`variable_drift`).', null=True),
        ),
        migrations.AlterField(
            model_name='releasereconciler',
            name='verdict_by',
            field=models.CharField(blank=True, default='', help_text='The account that GitHub shows as author of the status.', max_length=100),
        ),
        migrations.AlterField(
            model_name='releasereconciler',
            name='verdict_count',
            field=models.PositiveIntegerField(default=0, help_text='Number of statuses posted on this commit.'),
        ),
        migrations.AlterField(
            model_name='releasereconciler',
            name='verdict_gate',
            field=models.CharField(blank=True, default='', help_text='The gate that the verdict is about.', max_length=40),
        ),
        migrations.AlterField(
            model_name='releasereconciler',
            name='verdict_problem',
            field=models.TextField(blank=True, default='', help_text='Why the verdict could not be posted.'),
        ),
        migrations.AlterField(
            model_name='riskacceptance',
            name='lapsed_at',
            field=models.DateTimeField(blank=True, help_text='When a change of configuration invalidated it.', null=True),
        ),
        migrations.AlterField(
            model_name='riskacceptance',
            name='risks',
            field=models.JSONField(help_text='Severity and code of each accepted risk.'),
        ),
        migrations.AlterField(
            model_name='rollback',
            name='verdict',
            field=models.CharField(help_text='The verdict of the rollback assessment.', max_length=60),
        ),
        migrations.AlterField(
            model_name='rollbackapproval',
            name='lapsed_at',
            field=models.DateTimeField(blank=True, help_text='When a change of configuration invalidated it.', null=True),
        ),
        migrations.AlterField(
            model_name='rollbackassessment',
            name='downgrade',
            field=models.JSONField(blank=True, help_text='The next revision to downgrade: file, target, losses.', null=True),
        ),
        migrations.AlterField(
            model_name='rollbackassessment',
            name='in_effect',
            field=models.JSONField(blank=True, help_text="Revisions of the release that production's database has.", null=True),
        ),
        migrations.AlterField(
            model_name='rollbackassessment',
            name='problem',
            field=models.TextField(blank=True, default='', help_text='Why the last update failed.'),
        ),
        migrations.AlterField(
            model_name='rollbackassessment',
            name='ran_before',
            field=models.JSONField(blank=True, help_text='What each service served before the promotion: service id → deployment, commit.', null=True),
        ),
        migrations.AlterField(
            model_name='rollbackassessment',
            name='revisions',
            field=models.JSONField(blank=True, help_text="Revisions that production's database reports.", null=True),
        ),
        migrations.AlterField(
            model_name='rollbackstep',
            name='asked',
            field=models.JSONField(blank=True, help_text='When Railway was asked, and the deployments that existed then.', null=True),
        ),
        migrations.AlterField(
            model_name='rollbackstep',
            name='looks',
            field=models.PositiveIntegerField(default=0, help_text='How many times the step read the current state.'),
        ),
        migrations.AlterField(
            model_name='rollbackstep',
            name='sentence',
            field=models.TextField(blank=True, default='', help_text='What happened, or what the step waits for.'),
        ),
        migrations.AlterField(
            model_name='rollbackstep',
            name='service',
            field=models.CharField(blank=True, default='', help_text="Railway's id of the service to restore. Empty for other steps.", max_length=200),
        ),
        migrations.AlterField(
            model_name='rollbackstep',
            name='world',
            field=models.TextField(blank=True, default='', help_text='The current state that the step read.'),
        ),
        migrations.AlterField(
            model_name='stagingsmoke',
            name='about',
            field=models.CharField(blank=True, default='', help_text='Digest of the requests and the places they were sent to.', max_length=64),
        ),
        migrations.AlterField(
            model_name='tasklog',
            name='version',
            field=models.PositiveIntegerField(default=1, help_text='Grows with each save; saving an older version is refused.'),
        ),
        ]),
    ]
