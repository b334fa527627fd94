"""Projects in the admin."""

from collections.abc import Sequence

from django import forms
from django.contrib import admin
from django.db import connection
from django.db.models import Field, JSONField, Model
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest

from environments.databases.address import out_of_sight
from environments.models import Database, Project, SmokeTest
from environments.models.project import settings_of
from portal.configuration.admin import TwoPeople
from portal.outbound.parsing import JsonObject
from portal.ui.model_admin import TableInline
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus
from releases.project_settings.connect import start_syncs
from releases.project_settings.guarded import (
    claimed,
    databases_as_values,
    kept,
    smoke_tests_as_text,
)
from releases.project_settings.sections import SECTIONS, form_field


class SmokeTestInline(TableInline):
    model = SmokeTest
    extra = 0


class ProjectForm(forms.ModelForm):
    """Refuses the repository or Railway project of a project that is in production."""

    def clean(self) -> dict[str, object]:
        """Refuse the repository or Railway project of a project that is in production."""
        given = super().clean() or self.cleaned_data
        names = {
            name: given.get(name, getattr(self.instance, name))
            for name in ("repository", "railway_project_id")
        }
        if message := claimed(self.instance, **names):
            raise forms.ValidationError(message)
        return given


# Of a database's fields, those that decide whether the portal can look at it.
SEEN_BY = {"runner", "service", "variable", "public_service", "public_variable"}


class DatabaseFormSet(forms.BaseInlineFormSet):
    """The databases of a project, held against the project's own rules."""

    def clean(self) -> None:
        """Refuse a runner that cannot keep the project's order of deploying and migrating, or whose
        result the portal could not see.
        """
        super().clean()
        for form in self.forms:
            instance = form.instance
            if form.cleaned_data and not form.cleaned_data.get("DELETE"):
                instance.project = self.instance
                if instance.out_of_order:
                    form.add_error("runner", instance.out_of_order)
                elif SEEN_BY.intersection(form.changed_data) and (why := out_of_sight(instance)):
                    form.add_error("runner", why)


class DatabaseInline(admin.StackedInline):
    model = Database
    formset = DatabaseFormSet
    extra = 0
    fields = (
        ("name", "position"),
        "alembic",
        "version_table",
        ("public_service", "public_variable"),
        ("service", "variable"),
        "runner",
        "migration_command",
        "install_command",
        "migration_variables",
    )


@admin.register(Project)
class ProjectAdmin(TwoPeople):
    """Projects. It is here, above environments, because a new project also starts to be read
    from GitHub.
    """

    form = ProjectForm

    list_display = (
        "name",
        "repository",
        "staging_branch",
        "production_branch",
        "deploy_order",
        "required_approvals",
    )
    search_fields = ("name", "repository")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (DatabaseInline, SmokeTestInline)
    fieldsets = [
        (section.title, {"fields": tuple(settings_of(section.concern))})
        for section in SECTIONS.values()
    ]

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **options: object
    ) -> forms.Field | None:
        if isinstance(db_field, JSONField):
            return form_field(db_field)
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_changeform_initial_data(self, request: HttpRequest) -> JsonObject:
        return {
            "second_factor": True,
            "sign_in_minutes": 60,
            **super().get_changeform_initial_data(request),
        }

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        # Addresses and the trail name a project by its slug, so it stays.
        return ("slug",) if obj else ()

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> dict[str, Sequence[str]]:
        return {} if obj else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return (
            obj is not None
            and super().has_delete_permission(request, obj)
            and not obj.releases.exists()
        )

    def save_model(self, request: HttpRequest, obj: Project, form: ModelForm, change: bool) -> None:
        with connection.cursor() as cursor:  # its databases are saved after it
            cursor.execute("SET CONSTRAINTS project_railway_deploys_first DEFERRED")
        super().save_model(request, obj, form, change)
        start_syncs(obj)

    def children_wanted(self, formset: BaseInlineFormSet) -> JsonObject:
        """Return databases and smoke tests as the form leaves them, as a proposal names them."""
        left = [form for form in formset.forms if form not in formset.deleted_forms]
        rows = [form.instance for form in left if form.has_changed() or form.instance.pk]
        if formset.model is SmokeTest:
            return {"smoke_tests": smoke_tests_as_text(rows)}
        gone = [form.instance for form in formset.deleted_forms if form.instance.pk]
        return databases_as_values(rows, names_of(formset)) | {
            kept(names_of(formset)[instance.pk]): False for instance in gone
        }

    def save_formset(
        self, request: HttpRequest, form: ModelForm, formset: BaseInlineFormSet, change: bool
    ) -> None:
        """Have what is being prepared read again when the databases are others."""
        super().save_formset(request, form, formset, change)
        if formset.model is Database and formset.has_changed():
            Release.objects.filter(project=formset.instance, status=ReleaseStatus.OPEN).update(
                collected=""
            )
            PullRequest.objects.filter(project=formset.instance, state="open").update(read_for="")


def names_of(formset: BaseInlineFormSet) -> dict[int, str]:
    """Return what each database of the formset is called in the portal until now, by key."""
    return dict(Database.objects.filter(project=formset.instance).values_list("pk", "name"))
