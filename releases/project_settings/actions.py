"""Changing a project's settings: free ones at once, guarded ones when a second person agrees."""

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from environments.models import Project
from portal.audit import row_changes
from portal.configuration.actions import propose
from portal.configuration.kinds import kind_of
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import Refused, action
from releases.project_settings.connect import start_syncs

CHANGE = "environments.change_project"


@action("configuration.proposed", CHANGE)
def change_settings(
    project: Project, *, actor: User, **values: object
) -> ConfigurationChange | None:
    """Save the free ones among `values` and propose the guarded ones.

    Return the proposal, or None where no guarded setting differs. Raise `Refused` for values
    that the model does not allow.
    """
    row = Project.objects.select_for_update().get(pk=project.pk)
    guarded = kind_of(row).columns(row)
    _save_free(row, {name: value for name, value in values.items() if name not in guarded}, actor)
    change = propose(
        row, actor=actor, values={name: values[name] for name in values if name in guarded}
    )
    start_syncs(row)
    return change


def _save_free(row: Project, values: dict[str, object], actor: User) -> None:
    before = row_changes.stored(row)
    for name, value in values.items():
        setattr(row, name, value)
    try:
        row.clean_fields(
            exclude=[field.name for field in row._meta.fields if field.name not in values]
        )
        row.validate_constraints()
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from None
    row.save(update_fields=list(values))
    row_changes.record(row, before, row_changes.stored(row), actor=actor)
