"""The GitHub client. Previews need it as well as releases, so it lives here."""

from environments.github.answers import Check, Comment, CommitStatus, Comparison, Hook, Required
from environments.github.client import GitHub
from environments.github.merging import MergeRules
from environments.github.overview import Overview
from environments.github.overview_questions import Pages
from environments.github.protection import Rules
from environments.github.pulls import MergedPull, Pull, PullState, Review
from environments.github.transport import Recent

__all__ = [
    "Check",
    "Comment",
    "CommitStatus",
    "Comparison",
    "GitHub",
    "Hook",
    "MergeRules",
    "MergedPull",
    "Overview",
    "Pages",
    "Pull",
    "PullState",
    "Recent",
    "Required",
    "Review",
    "Rules",
    "merging",
]
