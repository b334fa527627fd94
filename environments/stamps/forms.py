"""What people send to have a database stamped."""

from django import forms

from portal.ui.forms import Mark, Text


class BranchForm(forms.Form):
    """The branch whose revisions are compared."""

    branch = Mark()


class TargetForm(forms.Form):
    """The revisions to be written, as the page showed them."""

    target = Mark()


class ProposalForm(TargetForm):
    """Why these."""

    reason = Text(missing="Say why the database has no revision that the branch knows.")
