"""Labels and help texts only: nothing changes in the database."""

import portal.secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0014_new_github_app'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField(
            model_name='configurationchange',
            name='kind',
            field=models.CharField(help_text='Label of the model, such as environments.project.', max_length=100),
        ),
        migrations.AlterField(
            model_name='configurationchange',
            name='label',
            field=models.CharField(help_text='Name of the changed object.', max_length=200),
        ),
        migrations.AlterField(
            model_name='configurationchange',
            name='scope',
            field=models.CharField(blank=True, default='', help_text='Slug of the project; empty for people.', max_length=50),
        ),
        migrations.AlterField(
            model_name='incident',
            name='scope',
            field=models.CharField(blank=True, default='', help_text='Slug of the project the incident is about.', max_length=50),
        ),
        migrations.AlterField(
            model_name='incident',
            name='subject',
            field=models.CharField(blank=True, default='', help_text='What the incident is about; empty for the portal itself.', max_length=100),
        ),
        migrations.AlterField(
            model_name='installation',
            name='key_check',
            field=portal.secrets.EncryptedTextField(blank=True, default='', help_text='Encrypted text that each start decrypts to check the keys.'),
        ),
        migrations.AlterField(
            model_name='processreport',
            name='at',
            field=models.DateTimeField(help_text="Time of the report, by the database's clock."),
        ),
        migrations.AlterField(
            model_name='processreport',
            name='disk_free',
            field=models.PositiveBigIntegerField(help_text='Bytes free on the disk of PORTAL_VAR_DIR.'),
        ),
        migrations.AlterField(
            model_name='servicecredential',
            name='scope',
            field=models.CharField(blank=True, default='', help_text='Slug of the project; empty for every project.', max_length=50),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='times',
            field=models.PositiveIntegerField(default=1, help_text='How many times the handler was tried.'),
        ),
        ]),
    ]
