"""What approvers send."""

from portal.ui.forms import Mark, SeenCandidate, Text


class ApproveForm(SeenCandidate):
    """An optional comment on an approval."""

    comment = Text()


class AcceptRiskForm(SeenCandidate):
    """The revision file whose risks are accepted, as the page showed it, and the reason."""

    revision = Mark()
    sha256 = Mark()
    reason = Text(missing="Give a reason for accepting this risk.")


class ConfirmCarriedForm(SeenCandidate):
    """The names of the rolled-back releases that ship again. The action compares them."""

    names = Text(300, missing="Type the names of the releases that ship again.")
