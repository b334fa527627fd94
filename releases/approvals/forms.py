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
