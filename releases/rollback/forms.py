"""What people send to go back: rollbacks and downgrades."""

from django import forms

from portal.ui.forms import Mark, Text


class ContentForm(forms.Form):
    """The digest of what the page showed, which is what a person signs."""

    content = Mark()


class RequestRollbackForm(ContentForm):
    """Why production goes back."""

    reason = Text(missing="Give a reason for the rollback.")


class ApproveRollbackForm(ContentForm):
    """An optional comment on the approval of a rollback."""

    comment = Text()


class AbandonRollbackForm(forms.Form):
    """Why a rollback is abandoned."""

    reason = Text(missing="Give a reason for canceling the rollback.")


class RequestDowngradeForm(ContentForm):
    """Why the database goes back, and its name as a confirmation. The action compares the name."""

    typed = Text(200)
    reason = Text(missing="Give a reason for the downgrade.")
