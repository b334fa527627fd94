"""Configuration of what ships and how, and rows to look at. Nothing is decided here: that is for the actions."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import connection
from django.http import HttpRequest

from environments.models import Database, Project, SmokeTest
from portal.actions import Refused
from portal.configuration.admin import TwoPeople
from portal.site import ReadOnly, Recorded
from releases import actions
from releases.configuration import claimed, databases_as_values, kept, smoke_tests_as_text
from releases.gates import GATES
from releases.models import (
    ChecklistTemplate,
    ChecklistTemplateItem,
    Freeze,
    Promotion,
    PromotionStep,
    PullRequest,
    Release,
    ReleaseStatus,
    Rollback,
    RollbackStep,
)
from releases.setup import start_syncs


class SmokeTestInline(admin.TabularInline):
    model = SmokeTest
    extra = 0


class ProjectForm(forms.ModelForm):
    """A project that does not take over what another one ships."""

    def clean(self) -> dict[str, Any]:
        """Refuses the repository or Railway project of a project that is in production."""
        given = super().clean() or self.cleaned_data
        names = {name: given.get(name, getattr(self.instance, name)) for name in ("repository", "railway_project_id")}
        if said := claimed(self.instance, **names):
            raise forms.ValidationError(said)
        return given


class DatabaseFormSet(forms.BaseInlineFormSet):
    """The databases of a project, held against the project's own rules."""

    def clean(self) -> None:
        """Refuse a runner that cannot keep the project's order of deploying and migrating."""
        super().clean()
        for form in self.forms:
            one = form.instance
            if form.cleaned_data and not form.cleaned_data.get("DELETE"):
                one.project = self.instance
                if one.out_of_order:
                    form.add_error("runner", one.out_of_order)


class DatabaseInline(admin.StackedInline):
    model = Database
    formset = DatabaseFormSet
    extra = 0
    fields = (
        ("name", "position"), "alembic", "version_table", ("public_service", "public_variable"),
        ("service", "variable"), "runner", "migration_command", "install_command", "migration_variables",
    )  # fmt: skip


@admin.register(Project)
class ProjectAdmin(TwoPeople):
    """Stands here, above environments, because a new project also starts to be read from GitHub."""

    form = ProjectForm

    list_display = ("name", "repository", "staging_branch", "production_branch", "deploy_order", "required_approvals")
    search_fields = ("name", "repository")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (DatabaseInline, SmokeTestInline)
    fieldsets = (
        (None, {"fields": ("name", "slug", "repository", "railway_project_id")}),
        ("Branches and environments", {
                "fields": (
                    ("staging_branch", "staging_environment"), ("production_branch", "production_environment"),
                    "git_url",
                )
            }),
        (
            "Rules",
            {"fields": ("required_approvals", "required_checks", "soak_minutes", "deploy_order", "deploy_minutes")},
        ),
        ("Signing in", {"fields": ("second_factor", "sign_in_minutes")}),
        ("The way back", {"fields": ("rollback_approvals", "retention_hours")}),
        ("Migrations", {"fields": ("statement_seconds", "lock_seconds")}),
        ("Pull requests", {"fields": ("pre_push", "pull_comments", "pull_comment_forks")}),
        (
            "Previews",
            {
                "fields": (
                    "previews", "preview_drafts", "preview_forks", "preview_limit", "preview_days", "preview_migrates",
                )
            },
        ),
    )  # fmt: skip

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"second_factor": True, "sign_in_minutes": 60, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Addresses and the trail name a project by its slug, so it stays.
        return ("slug",) if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return {} if obj else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(obj) and super().has_delete_permission(request, obj) and not obj.releases.exists()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with connection.cursor() as cursor:  # its databases are saved after it
            cursor.execute("SET CONSTRAINTS project_railway_deploys_first DEFERRED")
        super().save_model(request, obj, form, change)
        start_syncs(obj)

    def children_wanted(self, formset: Any) -> dict[str, Any]:
        """Databases and smoke tests as the form leaves them, as a proposal names them."""
        left = [one for one in formset.forms if one not in formset.deleted_forms]
        rows = [one.instance for one in left if one.has_changed() or one.instance.pk]
        if formset.model is SmokeTest:
            return {"smoke_tests": smoke_tests_as_text(rows)}
        gone = [one.instance for one in formset.deleted_forms if one.instance.pk]
        return databases_as_values(rows, names_of(formset)) | {kept(names_of(formset)[one.pk]): False for one in gone}

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """What is being prepared is read again when the databases are others."""
        super().save_formset(request, form, formset, change)
        if formset.model is Database and formset.has_changed():
            Release.objects.filter(project=formset.instance, status=ReleaseStatus.OPEN).update(collected="")
            PullRequest.objects.filter(project=formset.instance, state="open").update(read_for="")


def names_of(formset: Any) -> dict[int, str]:
    """What each database of the formset is called in the portal until now, by key."""
    return dict(Database.objects.filter(project=formset.instance).values_list("pk", "name"))


class TemplateItemForm(forms.ModelForm):
    """A line of a template; its gate is chosen, not typed."""

    gate = forms.ChoiceField(
        required=False, choices=[("", "a person ticks it"), *((name, name.replace("_", " ")) for name in GATES)]
    )

    class Meta:
        model = ChecklistTemplateItem
        fields = ("position", "text", "gate", "phase", "condition", "link")

    def clean_link(self) -> str:
        """A path on production's frontend, or a web address."""
        link = self.cleaned_data["link"]
        if link and not link.startswith(("/", "https://", "http://")):
            raise forms.ValidationError("Begin the link with / or https://.")
        return link


class TemplateItemInline(admin.TabularInline):
    model = ChecklistTemplateItem
    form = TemplateItemForm
    extra = 1


@admin.register(ChecklistTemplate)
class ChecklistTemplateAdmin(Recorded):
    list_display = ("name", "kind", "project", "count")
    list_select_related = ("project",)
    inlines = (TemplateItemInline,)

    @admin.display(description="items")
    def count(self, template: ChecklistTemplate) -> int:
        return template.items.count()


@admin.register(Freeze)
class FreezeAdmin(ReadOnly):
    """Adding one freezes promotions, through the action; lifting it is an action of the list."""

    list_display = ("project", "reason", "started_at", "started_by", "lifted_at")
    list_filter = ("project",)
    fields = ("project", "reason")
    actions = ("lift",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("releases.freeze_project")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = actions.freeze(obj.project, actor=request.user, reason=obj.reason)
        obj.pk, obj.started_by, obj.started_at = made.pk, made.started_by, made.started_at

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refused as refusal:
            messages.error(request, str(refusal))
            return self.response_post_save_add(request, None)

    @admin.action(description="Lift the freeze")
    def lift(self, request: HttpRequest, queryset: Any) -> None:
        for freeze in queryset.select_related("project"):
            try:
                actions.lift_freeze(freeze.project, actor=request.user)
            except Refused as refusal:
                messages.error(request, f"{freeze.project}: {refusal}")


class StepInline(admin.TabularInline):
    extra, can_delete = 0, False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PromotionStepInline(StepInline):
    model = PromotionStep
    fields = readonly_fields = ("name", "status", "looks", "started_at", "finished_at", "sentence", "world")


class RollbackStepInline(StepInline):
    model = RollbackStep
    fields = readonly_fields = ("name", "service", "status", "looks", "started_at", "finished_at", "sentence", "world")


@admin.register(Release)
class ReleaseAdmin(ReadOnly):
    list_display = ("name", "kind", "project", "status", "candidate", "cut_by", "cut_at", "ended_at")
    list_filter = ("project", "kind", "status")
    list_select_related = ("project", "cut_by")
    exclude = ("commits",)


@admin.register(Promotion)
class PromotionAdmin(ReadOnly):
    list_display = ("release", "status", "sentence", "started_by", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("release", "started_by")
    inlines = (PromotionStepInline,)


@admin.register(Rollback)
class RollbackAdmin(ReadOnly):
    list_display = ("release", "status", "sentence", "requested_by", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("release", "requested_by")
    inlines = (RollbackStepInline,)


@admin.register(PullRequest)
class PullRequestAdmin(ReadOnly):
    list_display = ("number", "title", "project", "state", "base", "author", "updated_at")
    list_filter = ("project", "state", "base")
    search_fields = ("title", "number")
