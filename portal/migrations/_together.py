"""Many operations as one, for a squashed migration: the models are rendered once for all of them.

After every operation Django renders each model that is related to the changed one, and through `Project` and `User`
nearly all are related: a hundred tables cost three thousand renderings, and those most of the time of `migrate`.
"""

from django.db.migrations.operations.base import Operation


class Together(Operation):
    """Runs operations of which none needs the models as another one left them, such as all that create tables.

    What they put off (foreign keys, indexes) is there when the next operation begins, under the name that the table has
    until then, as it would be after a migration of its own.
    """

    def __init__(self, operations):
        self.operations = operations

    def state_forwards(self, app_label, state):
        state.__dict__.pop("apps", None)  # it is computed when a table is made, and not for each model here
        for operation in self.operations:
            operation.state_forwards(app_label, state)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        for operation in self.operations:
            operation.database_forwards(app_label, schema_editor, from_state, to_state)
        while schema_editor.deferred_sql:
            schema_editor.execute(schema_editor.deferred_sql.pop(0))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        for operation in reversed(self.operations):
            operation.database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self):
        return f"{len(self.operations)} operations, the first: {self.operations[0].describe()}"
