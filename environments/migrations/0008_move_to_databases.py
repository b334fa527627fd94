"""The one database that a project had becomes its first row, and every older row is about that one."""

from django.db import migrations

# A project without migrations gets a row too where something would be lost: an address, or the history of runs.
DATABASES = """
INSERT INTO environments_database (project_id, name, position, alembic, version_table, runner, migration_command,
    install_command, migration_variables, service, variable, public_service, public_variable)
SELECT p.id, 'main', 0, p.alembic, p.version_table, p.runner, p.migration_command, p.install_command,
    p.migration_variables, coalesce(nullif(p.database_service, ''), 'backend'), p.database_variable, '',
    'DATABASE_PUBLIC_URL'
FROM environments_project p
WHERE p.alembic <> ''
   OR EXISTS (SELECT FROM environments_environment e WHERE e.project_id = p.id AND (e.database_url <> ''
      OR EXISTS (SELECT FROM environments_migrationrun r WHERE r.environment_id = e.id)
      OR EXISTS (SELECT FROM environments_rehearsal r WHERE r.environment_id = e.id)
      OR EXISTS (SELECT FROM environments_schemastanding s WHERE s.environment_id = e.id)))
   OR EXISTS (SELECT FROM environments_migrationplan m WHERE m.project_id = p.id)
   OR EXISTS (SELECT FROM environments_stagedrevision s WHERE s.project_id = p.id)
"""

# Addresses are copied as they are stored, so that no key is needed for it.
PLACES = """
INSERT INTO environments_environmentdatabase (environment_id, database_id, url, revisions, revisions_at,
    revisions_problem)
SELECT e.id, d.id, e.database_url, e.revisions, e.revisions_at, e.revisions_problem
FROM environments_environment e JOIN environments_database d ON d.project_id = e.project_id
"""

BY_ENVIRONMENT = """
UPDATE environments_{table} t SET database_id = d.id
FROM environments_environment e JOIN environments_database d ON d.project_id = e.project_id
WHERE e.id = t.environment_id
"""

BY_PROJECT = """
UPDATE environments_{table} t SET database_id = d.id FROM environments_database d WHERE d.project_id = t.project_id
"""

# The oldest project keeps its repository for itself; the others stay, and are found by the comparison of rows.
SHARED = """
UPDATE environments_project p SET shares_repository = true
WHERE EXISTS (SELECT FROM environments_project older
              WHERE lower(older.repository) = lower(p.repository) AND older.id < p.id)
"""

# It is read anew within seconds, in another form.
TIMELINES = "UPDATE environments_databasesync SET timeline = '{}'"

TABLES = [(BY_ENVIRONMENT, name) for name in ("migrationrun", "rehearsal", "schemastanding")]
TABLES += [(BY_PROJECT, name) for name in ("migrationplan", "stagedrevision")]


def move(apps, schema_editor):
    said = [DATABASES, PLACES, *(sql.format(table=table) for sql, table in TABLES), SHARED, TIMELINES]
    with schema_editor.connection.cursor() as cursor:
        for sql in said:
            cursor.execute(sql)


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0007_databases_of_a_project'),
    ]

    operations = [migrations.RunPython(move, migrations.RunPython.noop)]
