"""The migrations of earlier promotions were about the project's first database."""

from django.db import migrations

STEPS = """
UPDATE releases_promotionstep s SET database_id = d.id
FROM releases_promotion p
JOIN releases_release r ON r.id = p.release_id
JOIN environments_database d ON d.project_id = r.project_id AND d.alembic <> ''
WHERE p.id = s.promotion_id AND s.name = 'migrate'
"""

FOUND = """
UPDATE releases_promotion p SET found = jsonb_build_object(d.id::text, p.found)
FROM releases_release r JOIN environments_database d ON d.project_id = r.project_id
WHERE r.id = p.release_id AND jsonb_typeof(p.found) = 'array'
"""


def name(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(STEPS)
        cursor.execute(FOUND)


class Migration(migrations.Migration):

    dependencies = [
        ('releases', '0003_a_step_for_each_database'),
    ]

    operations = [migrations.RunPython(name, migrations.RunPython.noop)]
