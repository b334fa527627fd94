"""What a terminal sends of a task log: the file as it stands there."""

from django import forms

from portal.ui.forms import Text
from releases.task_logs.forms import LONGEST
from releases.task_logs.markdown import SECTIONS, sections_of


class NamedForm(forms.Form):
    """Which project and which release are meant; both may be left out."""

    project = Text(50)
    release = Text(100)


class SaveForm(forms.Form):
    """The Markdown file, and the version that the person began from (0: there was none)."""

    version = forms.IntegerField(min_value=0, max_value=10**8, required=False)
    markdown = Text(LONGEST * len(SECTIONS) + 2000, missing="Send the task log.", strip=False)

    def clean_markdown(self) -> str:
        """Refuse a file without one of the five headings, and a section that is too long."""
        text = self.cleaned_data["markdown"]
        sections = sections_of(text)
        if not sections:
            names = ", ".join(f"## {heading}" for heading in SECTIONS.values())
            raise forms.ValidationError(f"The file has none of the headings {names}.")
        if any(len(part) > LONGEST for part in sections.values()):
            raise forms.ValidationError(f"Shorten each section to {LONGEST:,} characters.")
        return text

    @property
    def sections(self) -> dict[str, str]:
        """The sections by name, as `releases.task_logs` keeps them."""
        return sections_of(self.cleaned_data["markdown"])
