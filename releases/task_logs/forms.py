"""What people type into a task log."""

from typing import Any

from django import forms

from portal.ui.forms import Text
from releases.task_logs.markdown import SECTIONS

LONGEST = 20_000  # characters of a section


class TaskLogForm(forms.Form):
    """The five sections, and the version of the log that the person began from (0: there was
    none).
    """

    version = forms.IntegerField(min_value=0, max_value=10**8, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields |= {
            name: Text(LONGEST, label=heading, strip=False) for name, heading in SECTIONS.items()
        }

    @property
    def typed(self) -> dict[str, str]:
        """The sections as they came, to give them back after a refusal."""
        return {name: self[name].value() or "" for name in SECTIONS}
