"""The admin form of what two people change: guarded fields are proposed, the others saved."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Model
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from portal import audit
from portal.configuration.actions import propose, record_alone
from portal.configuration.kinds import Kind, Values, kind_of, stored
from portal.models.configuration import ConfigurationChange
from portal.ui.actions import Refused
from portal.ui.model_admin import AuditedAdmin
from portal.ui.site import person


@dataclass
class Asked:
    """What a form asks of guarded fields: how they were, what is wanted (of secrets, beside it,
    what is never shown), and why one person is enough ("": is not).
    """

    before: Values
    alone: str
    wanted: Values = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


def leave(formset: BaseInlineFormSet) -> None:
    """Let the event say that nothing of the formset was saved."""
    formset.new_objects = formset.changed_objects = formset.deleted_objects = []


def tell(request: HttpRequest, made: ConfigurationChange | None, done: str = "") -> None:
    """Tell the person what came of what they proposed; `done`: where it is changed already."""
    if made and made.state == ConfigurationChange.State.WAITING:
        link = format_html('<a href="{}">Changes</a>', reverse("portal:changes"))
        message = format_html(
            "Not changed yet: {}. A second person must confirm it under {}.", made.words, link
        )
        messages.warning(request, message)
    elif made:
        words = f"Changed at once by one person, for {made.alone}: {made.words}."
        messages.info(request, f"{done} {words}".strip())


class TwoPeople(AuditedAdmin):
    """Saves what is free, and proposes what is guarded."""

    @property
    def kind(self) -> Kind[Any]:
        return kind_of(self.model)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        """Put guarded fields back to what is stored, for `save_related`, unless one is enough."""
        row = stored(self.model).get(pk=obj.pk) if change else None
        before = self.kind.read(row) if row else {}
        asked = Asked(before, self.kind.alone(row or obj, person(request)))
        request.asked = asked  # type: ignore[attr-defined]
        if not asked.alone:
            self.hold_back(obj, row, form, asked)
        super().save_model(request, obj, form, change)
        if not asked.alone and (change or self.kind.new_too):
            self._rows_wanted(obj, form, asked.wanted)

    def hold_back(self, obj: object, row: object, form: ModelForm, asked: Asked) -> None:
        """Put the guarded fields of `obj` back to those of the stored `row` (None: it is new), and
        keep in `asked` what was wanted of them.
        """
        for name in self.kind.columns(obj) if row else ():
            if name in form.changed_data and not self.kind.harmless(name, getattr(obj, name)):
                asked.wanted[name] = getattr(obj, name)
                setattr(obj, name, getattr(row, name))

    def _rows_wanted(self, obj: Model, form: ModelForm, wanted: Values) -> None:
        """Read what the form chose of other models' rows, which stay until somebody confirms it."""
        for name in self.kind.many:
            if name in form.cleaned_data:
                wanted[name] = self.kind.names(name, form.cleaned_data[name])
                form.cleaned_data[name] = getattr(obj, name).all()

    def save_related(
        self,
        request: HttpRequest,
        form: ModelForm,
        formsets: Sequence[BaseInlineFormSet],
        change: bool,
    ) -> None:
        asked: Asked = getattr(request, "asked", None) or Asked({}, "")
        kept = []
        for formset in formsets:
            children = self.children_wanted(formset) if change and not asked.alone else None
            if children is not None:
                asked.wanted |= children
                leave(formset)
            else:
                kept.append(formset)
        super().save_related(request, form, kept, change)
        if asked.wanted:
            self.propose(request, form.instance, values=asked.wanted, secrets=asked.secrets)
        elif asked.alone and change:
            who, why = person(request), asked.alone
            tell(request, record_alone(form.instance, asked.before, actor=who, alone=why))

    def children_wanted(self, formset: BaseInlineFormSet) -> dict[str, object] | None:
        """Return the rows of a guarded formset as they will be; None: they are saved at once."""
        return None

    def propose(self, request: HttpRequest, obj: Model, **what: Any) -> None:
        """Propose, and tell the person what came of it."""
        tell(request, propose(obj, actor=person(request), **what))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except Refused as refusal:
            return self.refused(request, refusal, object_id)

    def refused(
        self, request: HttpRequest, refusal: Refused, object_id: str | None
    ) -> HttpResponse:
        """Say and record why nothing was saved: what was begun was undone with its transaction."""
        obj = self.get_object(request, object_id) if object_id else None
        with transaction.atomic():
            audit.record(
                "configuration.proposed",
                actor=person(request),
                subject=obj,
                outcome="refused",
                sentence=str(refusal),
            )
        messages.error(request, str(refusal))
        return HttpResponseRedirect(request.get_full_path())
