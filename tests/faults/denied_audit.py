"""Denies the audit event in three ways, tries everything people can do, and looks whether anything
changed.

Run by `make faults`. Each action is tried on rows on which it succeeds (which is proven at the end
of each try). Ends with 1 when an action went through without its event, or changed anything.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import hashlib
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portal.sandbox.server import Request, Response, Server
from portal.ui import actions as of_people

APPS = ("portal", "environments", "releases")
ROLE = "portal_without_audit"
DENIED = (
    "permission denied for function portal_audit_append",
    "lock timeout",
    "could not extend file",
)


@dataclass(frozen=True)
class Try:
    """One action with what it needs: `arrange` makes the rows and gives the call that succeeds
    on them.
    """

    name: str
    arrange: Callable[[Any], Callable[[], Any]]


def tries() -> list[Try]:
    """Every action of the portal, by the name of its function, and what people do to accounts."""
    from django.test import override_settings
    from django_otp.oath import TOTP

    from environments.branches import actions as branches_actions
    from environments.connections import actions as connections_actions
    from environments.databases import actions as databases_actions
    from environments.findings import actions as findings_actions
    from environments.models import (
        ConnectionCheck,
        DatabaseStatus,
        DeployKey,
        Environment,
        EnvironmentDatabase,
        Finding,
        MigrationRun,
        Preview,
        PreviewVariable,
        ProjectProposal,
        RailwaySync,
        Rehearsal,
        Repair,
        Service,
        ServiceInstance,
        StagingReset,
        Stamp,
    )
    from environments.overview import actions as overview_actions
    from environments.previews import actions as previews_actions
    from environments.rehearsals import actions as rehearsals_actions
    from environments.renaming.actions import use_new_name
    from environments.repairs import actions as repairs_actions
    from environments.schema.plan.risk import Risk
    from environments.stamps import actions as stamps_actions
    from portal.accounts import second_factor, tokens
    from portal.configuration import actions as on_configuration
    from portal.models.accounts import Authenticator
    from portal.models.configuration import ConfigurationChange
    from portal.models.credentials import NewGitHubApp, ServiceCredential
    from portal.models.tokens import AccessToken
    from releases.approvals import actions as approvals_actions
    from releases.checklist import actions as checklist_actions
    from releases.freezes import actions as freezes_actions
    from releases.lifecycle import actions as lifecycle_actions
    from releases.models import Channel, Downgrade
    from releases.models.checklist import ChecklistItem
    from releases.models.freezes import Freeze
    from releases.models.pull_requests import PullRequest
    from releases.models.releases import Release
    from releases.models.rollback import downgrade_content
    from releases.notifications import actions as on_channels
    from releases.practice import days as practice_days
    from releases.project_settings import actions as settings_actions
    from releases.project_settings import smoke_tests, watch_only
    from releases.promotion import actions as promotion_actions
    from releases.rollback import actions as back
    from releases.rollback import downgrade_actions
    from releases.setup import actions as setup_actions
    from releases.setup import credentials, github_app
    from releases.task_logs import actions as task_logs_actions
    from tests.factory import make_advice, make_downgrade, make_plan_row, make_rollback, make_stamp

    def manual(release: Any) -> Any:
        return release.items.filter(gate="", phase="before").first()

    def ticked(scene: Any) -> Callable[[], Any]:
        item = manual(scene.release)
        ChecklistItem.objects.filter(pk=item.pk).update(
            ticked_by=scene.dave, ticked_at=scene.now, ticked_candidate=scene.release.candidate
        )
        return lambda: checklist_actions.untick(item, actor=scene.dave)

    def unticked(scene: Any) -> Callable[[], Any]:
        item = manual(scene.release)
        ChecklistItem.objects.filter(pk=item.pk).update(
            ticked_by=None, ticked_at=None, ticked_candidate=""
        )
        return lambda: checklist_actions.tick(item, actor=scene.dave)

    def unticked_together(scene: Any) -> Callable[[], Any]:
        rows = list(scene.release.items.filter(gate="", phase="before"))
        scene.release.items.filter(gate="").update(
            ticked_by=None, ticked_at=None, ticked_candidate=""
        )
        return lambda: checklist_actions.tick_several(scene.release, actor=scene.dave, items=rows)

    def without_release(scene: Any) -> Callable[[], Any]:
        Release.objects.filter(pk=scene.release.pk).update(status="abandoned")
        return lambda: lifecycle_actions.cut(scene.project, actor=scene.dave)

    def proposed(scene: Any) -> Callable[[], Any]:
        values = {
            "number": 140,
            "base": "main",
            "head": "fix",
            "head_sha": "8" * 40,
            "seen_at": scene.now,
        }
        PullRequest.objects.create(project=scene.project, title="Fix", **values)
        return lambda: lifecycle_actions.cut_hotfix(scene.project, actor=scene.dave, pull=140)

    def apart(scene: Any) -> dict[str, str]:
        heads = {name: scene.project.branches.get(name=name).head for name in ("staging", "main")}
        seen = {
            "before": heads["staging"],
            "wanted": heads["main"],
            "status": "failed",
            "result": "diverged",
        }
        Repair.objects.create(project=scene.project, kind="sync_staging", **seen)
        return heads

    def to_reset(scene: Any) -> Callable[[], Any]:
        heads = apart(scene)
        return lambda: branches_actions.request_reset(
            scene.project, actor=scene.dave, reason="known", **heads
        )

    def asked(scene: Any) -> Any:
        heads = apart(scene)
        named = {"staging_head": heads["staging"], "main_head": heads["main"]}
        return heads, StagingReset.objects.create(
            project=scene.project, requested_by=scene.carol, **named
        )

    def to_sign(scene: Any) -> Callable[[], Any]:
        heads, reset = asked(scene)
        return lambda: branches_actions.sign_reset(reset, actor=scene.dave, **heads)

    def to_take_back(scene: Any) -> Callable[[], Any]:
        _, reset = asked(scene)
        return lambda: branches_actions.take_reset_back(reset, actor=scene.dave)

    def stopped(
        step: str, act: Callable[..., Any], **given: Any
    ) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            scene.stopped_at(step)
            return lambda: act(scene.release, actor=scene.dave, **given)

        return arrange

    def running(scene: Any) -> Callable[[], Any]:
        environment = scene.project.environments.get(kind="staging")
        run = MigrationRun.objects.create(
            environment=environment,
            database=scene.project.databases.get(),
            commit=scene.release.candidate,
        )
        return lambda: databases_actions.cancel_migration(run, actor=scene.dave)

    def failed(scene: Any) -> Callable[[], Any]:
        environment = scene.project.environments.get(kind="staging")
        run = MigrationRun.objects.create(
            environment=environment,
            database=scene.project.databases.get(),
            commit=scene.release.candidate,
            status="failed",
        )
        return lambda: databases_actions.retry_migration(run, actor=scene.dave)

    def rehearsing(scene: Any) -> Callable[[], Any]:
        environment = scene.project.environments.get(kind="staging")
        rehearsal = Rehearsal.objects.create(
            environment=environment,
            database=scene.project.databases.get(),
            commit=scene.release.candidate,
        )
        return lambda: rehearsals_actions.cancel_rehearsal(rehearsal, actor=scene.dave)

    def adopted(scene: Any) -> Callable[[], Any]:
        Stamp.objects.all().delete()
        environment = scene.project.environments.get(kind="staging")
        database, now = scene.project.databases.get(), scene.now
        place = {"environment": environment, "database": database}
        EnvironmentDatabase.objects.filter(**place).update(revisions=[], tables=3)
        status, _ = DatabaseStatus.objects.update_or_create(
            **place,
            defaults={"branch": "staging", "state": "adopted", "since": now, "read_at": now},
        )
        return lambda: stamps_actions.request_stamp(status, actor=scene.dave)

    def stamping(
        act: Callable[..., Any], proposed: bool = False, target: str | None = "", **given: Any
    ) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            Stamp.objects.all().delete()
            stamp = make_stamp(scene.project, by=scene.carol)
            if proposed:
                Stamp.objects.filter(pk=stamp.pk).update(
                    target=stamp.equal[0], proposed_by=scene.carol
                )
            named = {} if target is None else {"target": stamp.equal[0][0]}
            return lambda: act(stamp, actor=scene.dave, **named, **given)

        return arrange

    def found(scene: Any) -> Callable[[], Any]:
        finding = Finding.objects.create(
            project=scene.project, kind="branch", subject="x", sentence="x"
        )
        return lambda: findings_actions.resolve_finding(
            finding, actor=scene.dave, reason="looked at"
        )

    def several(scene: Any) -> Callable[[], Any]:
        rows = [
            Finding.objects.create(project=scene.project, kind="branch", subject=one, sentence=one)
            for one in ("x", "y")
        ]
        return lambda: findings_actions.resolve_findings(
            scene.project, actor=scene.dave, findings=[row.pk for row in rows], reason="looked at"
        )

    def strayed(scene: Any) -> Callable[[], Any]:
        instance = ServiceInstance.objects.filter(
            environment__project=scene.project, branch="staging"
        ).first()
        ServiceInstance.objects.filter(pk=instance.pk).update(branch="elsewhere")
        instance.refresh_from_db()
        return lambda: repairs_actions.repair_branch(instance, actor=scene.dave, wanted="staging")

    def behind(scene: Any) -> Callable[[], Any]:
        instance = ServiceInstance.objects.filter(
            environment__project=scene.project, branch="staging"
        ).first()
        head = scene.project.branches.get(name="staging").head
        return lambda: repairs_actions.deploy_head(instance, actor=scene.dave, commit=head)

    def checked(scene: Any) -> Callable[[], Any]:
        check = ConnectionCheck.objects.first() or ConnectionCheck.objects.create()
        return lambda: connections_actions.check_connections(check, actor=scene.dave)

    def pinned(scene: Any) -> Callable[[], Any]:
        key = DeployKey.objects.create(
            project=scene.project, private_key="x", kind="ed25519", host_keys="old"
        )
        found = [
            {"project": scene.project.slug, "offers": [["ssh-ed25519", "AAAA", "SHA256:x", ""]]}
        ]
        ConnectionCheck.objects.update_or_create(single=True, defaults={"found": found})
        return lambda: connections_actions.pin_host_keys(
            key, actor=scene.dave, fingerprints=["SHA256:x"]
        )

    def connecting(scene: Any) -> Callable[[], Any]:
        proposal = ProjectProposal.objects.create(
            repository="acme/other",
            railway_project_id="other",
            asked_by=scene.dave,
            status="succeeded",
        )
        settings = {
            "name": f"other {scene.project.pk}",
            "staging_environment": "staging",
            "staging_branch": "staging",
            "production_environment": "production",
            "production_branch": "main",
        }
        return lambda: setup_actions.accept(
            proposal, actor=scene.dave, settings=settings, databases=[], smoke=[], checks=[]
        )

    def frozen(scene: Any) -> Callable[[], Any]:
        Freeze.objects.create(project=scene.project, reason="x", started_by=scene.dave)
        return lambda: freezes_actions.lift_freeze(scene.project, actor=scene.dave)

    def risky(scene: Any) -> Callable[[], Any]:
        one = scene.release.migrations[0]
        file = {"revision": one["id"], "sha256": one["sha256"]}
        make_plan_row(
            scene.release, risks=[asdict(Risk("rename", "danger", **file, sentence="Renames."))]
        )
        return lambda: approvals_actions.accept_risk(
            scene.release, actor=scene.dave, **file, reason="known"
        )

    def preview(scene: Any) -> Any:
        return Preview.objects.create(
            project=scene.project, number=9, head="a" * 40, head_at=scene.now
        )

    def outsider(scene: Any) -> Callable[[], Any]:
        place = Environment.objects.create(
            project=scene.project, name="pr-8", kind="preview", railway_id="e-8"
        )
        return lambda: previews_actions.delete_environment(place, actor=scene.dave, typed="pr-8")

    def foreign(scene: Any) -> Callable[[], Any]:
        preview(scene)
        place = Environment.objects.create(
            project=scene.project,
            name="pr-9",
            kind="preview",
            railway_id="e-9",
            pull_number=9,
            seen_at=scene.now,
        )
        return lambda: previews_actions.adopt_environment(place, actor=scene.dave, typed="pr-9")

    def placed(scene: Any) -> Callable[[], Any]:
        RailwaySync.objects.get_or_create(project=scene.project)
        service = Service.objects.filter(project=scene.project).first()
        return lambda: overview_actions.place_service(service, actor=scene.dave, belongs=False)

    def proposed_change(act: Callable[..., Any]) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            change = ConfigurationChange.objects.create(
                kind="environments.project",
                object_id=scene.project.pk,
                label="project",
                scope=scene.project.slug,
                values={"soak_minutes": {"from": scene.project.soak_minutes, "to": 1}},
                proposed_by=scene.alice,
            )
            return lambda: act(change, actor=scene.dave)

        return arrange

    def valued(scene: Any) -> Callable[[], Any]:
        row = PreviewVariable.objects.create(
            project=scene.project, service="backend", name="KEY", value="x"
        )
        return lambda: previews_actions.remove_preview_variable(row, actor=scene.dave)

    def on_preview(act: Callable[..., Any]) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            row = preview(scene)
            return lambda: act(row, actor=scene.dave)

        return arrange

    def shipped(scene: Any) -> Any:
        release = scene.release
        Release.objects.filter(pk=release.pk).update(status="verifying", merge_commit="c" * 40)
        release.refresh_from_db()
        make_advice(release)
        return release

    def rolling(
        act: Callable[..., Any], *, at: str = "restore", **given: Any
    ) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            job = make_rollback(shipped(scene), by=scene.alice, at=at, failed=at != "approve")
            content = {"content": job.content} if at == "approve" else {}
            return lambda: act(scene.release, actor=scene.dave, **content, **given)

        return arrange

    def asking(scene: Any) -> Callable[[], Any]:
        release = shipped(scene)
        return lambda: back.request_rollback(release, actor=scene.dave, reason="known")

    def reverting(scene: Any) -> Callable[[], Any]:
        shipped(scene)
        Release.objects.filter(pk=scene.release.pk).update(status="rolled_back", pull_number=9)
        scene.release.refresh_from_db()
        return lambda: back.open_revert(scene.release, actor=scene.dave)

    def carrying(scene: Any) -> Callable[[], Any]:
        carried = {"releases": [{"pk": 1, "name": "2026.11.01-1", "reverted": False}]}
        Release.objects.filter(pk=scene.release.pk).update(carried=carried)
        names = "2026.11.01-1"
        return lambda: approvals_actions.confirm_carried(
            scene.release, actor=scene.dave, names=names
        )

    def rehearsing_back(scene: Any) -> Callable[[], Any]:
        release = shipped(scene)
        return lambda: downgrade_actions.rehearse_downgrade(release, actor=scene.dave)

    def downgrading(scene: Any) -> Callable[[], Any]:
        release = shipped(scene)
        make_downgrade(release, by=scene.alice)
        Downgrade.objects.all().delete()  # its rehearsal stays
        wish = {"typed": "inspector_production", "reason": "known"}
        return lambda: downgrade_actions.request_downgrade(release, actor=scene.dave, **wish)

    def wished(act: Callable[..., Any], *, signs: bool) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            release = shipped(scene)
            make_downgrade(release, by=scene.alice)
            content = {"content": downgrade_content(release.assessment.downgrade)} if signs else {}
            return lambda: act(release, actor=scene.dave, **content)

        return arrange

    def renamed(scene: Any) -> Callable[[], Any]:
        type(scene.project).objects.filter(pk=scene.project.pk).update(renamed_to="acme/new-name")
        return lambda: use_new_name(scene.project, actor=scene.dave, name="acme/new-name")

    def practising(scene: Any) -> Callable[[], Any]:
        day = {"name": "d", "title": "A day", "happens": "x", "practise": "y"}
        server = Server(lambda request: Response(404)).start()
        server.days = lambda request: Response(200, [day])

        def act() -> None:
            try:
                with override_settings(GITHUB_API_URL=server.url, SANDBOX=True):
                    practice_days.begin(scene.project, actor=scene.dave, name="d")
            finally:
                server.stop()

        return act

    def channel(act: Callable[..., Any]) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            row = Channel.objects.create(
                name="x",
                transport="email",
                address="x@example.com",
                place="x",
                person=scene.dave,
                kinds=["health"],
            )
            return lambda: act(row, actor=scene.dave)

        return arrange

    def connected(act: Callable[[Any], Any]) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            ServiceCredential.objects.all().delete()
            made = {"app_id": "1", "app_slug": "x", "private_key": key_of_an_app()}
            NewGitHubApp.objects.update_or_create(
                scope="of-another", defaults={**made, "made_at": scene.now, "made_by": scene.dave}
            )

            def run() -> None:
                server = Server(as_github).start()
                try:
                    with override_settings(GITHUB_API_URL=server.url, GITHUB_GIT_URL=server.url):
                        act(scene)
                finally:
                    server.stop()

            return run

        return arrange

    def giving_back(scene: Any) -> Callable[[], Any]:
        ServiceCredential.objects.create(
            service="github", scope=scene.project.slug, secret="of-project", changed_at=scene.now
        )
        return lambda: credentials.use_the_portals(
            "github", actor=scene.dave, scope=scene.project.slug
        )

    def only_watched(scene: Any) -> Callable[[], Any]:
        type(scene.project).objects.filter(pk=scene.project.pk).update(watch_only=True)
        return lambda: watch_only.start_sending(scene.project, actor=scene.dave)

    def with_token(scene: Any) -> Callable[[], Any]:
        tokens.make(scene.carol, "terminal")
        row = AccessToken.objects.filter(user=scene.carol).latest("pk")
        return lambda: tokens.remove(scene.carol, row.pk)

    def enrolling(scene: Any) -> Callable[[], Any]:
        Authenticator.objects.filter(user=scene.carol).delete()
        found = second_factor.begin(scene.carol)
        totp = TOTP(found.key)
        totp.time = time.time()
        return lambda: second_factor.confirm(scene.carol, f"{totp.token():06}")

    def enrolled(act: Callable[[Any], Any]) -> Callable[[Any], Callable[[], Any]]:
        def arrange(scene: Any) -> Callable[[], Any]:
            enrolling(scene)()
            return lambda: act(scene.carol)

        return arrange

    def on_release(act: Callable[..., Any], **given: Any) -> Callable[[Any], Callable[[], Any]]:
        return lambda scene: lambda: act(scene.release, actor=scene.dave, **given)

    return [
        Try("cut", without_release),
        Try("cut_hotfix", proposed),
        Try("tick", unticked),
        Try("tick_several", unticked_together),
        Try("untick", ticked),
        Try("approve", on_release(approvals_actions.approve)),
        Try("accept_risk", risky),
        Try("migrate_staging", on_release(lifecycle_actions.migrate_staging)),
        Try("promote", on_release(promotion_actions.promote)),
        Try("retry_step", stopped("merge", promotion_actions.retry_step)),
        Try("deploy_commit", stopped("deploy", promotion_actions.deploy_commit)),
        Try("skip_step", stopped("smoke", promotion_actions.skip_step, reason="known")),
        Try(
            "abandon_promotion",
            stopped("merge", promotion_actions.abandon_promotion, reason="known"),
        ),
        Try("abandon", on_release(lifecycle_actions.abandon, reason="known")),
        Try("request_rollback", asking),
        Try("approve_rollback", rolling(back.approve_rollback, at="approve")),
        Try("retry_rollback", rolling(back.retry_rollback)),
        Try("skip_rollback", rolling(back.skip_rollback, reason="known")),
        Try("abandon_rollback", rolling(back.abandon_rollback, reason="known")),
        Try("open_revert", reverting),
        Try("confirm_carried", carrying),
        Try("rehearse_downgrade", rehearsing_back),
        Try("request_downgrade", downgrading),
        Try("approve_downgrade", wished(downgrade_actions.approve_downgrade, signs=True)),
        Try("withdraw_downgrade", wished(downgrade_actions.withdraw_downgrade, signs=False)),
        Try("begin", practising),
        Try("write_notes", on_release(lifecycle_actions.write_notes, notes="new")),
        Try(
            "write",
            lambda scene: (
                lambda: task_logs_actions.write(
                    scene.release, actor=scene.dave, typed={"goal": "new"}, version=0
                )
            ),
        ),
        Try(
            "freeze",
            lambda scene: (
                lambda: freezes_actions.freeze(scene.project, actor=scene.dave, reason="fair")
            ),
        ),
        Try("lift_freeze", frozen),
        Try(
            "change_settings",
            lambda scene: (
                lambda: settings_actions.change_settings(
                    scene.project, actor=scene.dave, preview_days=3
                )
            ),
        ),
        Try(
            "start_migration",
            lambda scene: (
                lambda: databases_actions.start_migration(
                    scene.project.environments.get(kind="staging"),
                    database=scene.project.databases.get(),
                    actor=scene.dave,
                    commit=scene.release.candidate,
                )
            ),
        ),
        Try("cancel_migration", running),
        Try("retry_migration", failed),
        Try(
            "start_rehearsal",
            lambda scene: (
                lambda: rehearsals_actions.start_rehearsal(
                    scene.project.environments.get(kind="staging"),
                    database=scene.project.databases.get(),
                    actor=scene.dave,
                    commit="9" * 40,
                )
            ),
        ),
        Try("cancel_rehearsal", rehearsing),
        Try("request_stamp", adopted),
        Try("propose_stamp", stamping(stamps_actions.propose_stamp, reason="known")),
        Try("approve_stamp", stamping(stamps_actions.approve_stamp, proposed=True)),
        Try("take_stamp_back", stamping(stamps_actions.take_stamp_back, target=None)),
        Try("resolve_finding", found),
        Try("resolve_findings", several),
        Try("check_connections", checked),
        Try("pin_host_keys", pinned),
        Try(
            "sync_staging",
            lambda scene: lambda: branches_actions.sync_staging(scene.project, actor=scene.dave),
        ),
        Try(
            "open_back_merge",
            lambda scene: lambda: branches_actions.open_back_merge(scene.project, actor=scene.dave),
        ),
        Try("request_reset", to_reset),
        Try("sign_reset", to_sign),
        Try("take_reset_back", to_take_back),
        Try("repair_branch", strayed),
        Try("deploy_head", behind),
        Try(
            "switch_push_on",
            lambda scene: (
                lambda: repairs_actions.switch_push_on(
                    ServiceInstance.objects.filter(environment__project=scene.project).first(),
                    actor=scene.dave,
                )
            ),
        ),
        Try(
            "keep_heads",
            lambda scene: lambda: branches_actions.keep_heads(scene.project, actor=scene.dave),
        ),
        Try("adopt_environment", foreign),
        Try("place_service", placed),
        Try("confirm_change", proposed_change(on_configuration.confirm_change)),
        Try("decline_change", proposed_change(on_configuration.decline_change)),
        Try(
            "require_of_branches",
            lambda scene: (
                lambda: branches_actions.require_of_branches(
                    scene.project, actor=scene.dave, checks=[], approvals=3, portal_app=""
                )
            ),
        ),
        Try(
            "protect_branch",
            lambda scene: (
                lambda: branches_actions.protect_branch(
                    scene.project, actor=scene.dave, branch="main"
                )
            ),
        ),
        Try("rebuild_preview", on_preview(previews_actions.rebuild_preview)),
        Try("remove_preview", on_preview(previews_actions.remove_preview)),
        Try(
            "set_preview_variable",
            lambda scene: (
                lambda: previews_actions.set_preview_variable(
                    scene.project, actor=scene.dave, service="backend", name="KEY", value="x"
                )
            ),
        ),
        Try("remove_preview_variable", valued),
        Try("delete_environment", outsider),
        Try("use_new_name", renamed),
        Try(
            "add_channel",
            lambda scene: (
                lambda: on_channels.add_channel(
                    scene.project,
                    actor=scene.dave,
                    name="x",
                    transport="email",
                    address="x@example.com",
                    kinds=["health"],
                    personal=True,
                )
            ),
        ),
        Try(
            "change_channel",
            channel(
                lambda row, actor: on_channels.change_channel(row, actor=actor, kinds=["failed"])
            ),
        ),
        Try("remove_channel", channel(on_channels.remove_channel)),
        Try("test_channel", channel(on_channels.test_channel)),
        Try(
            "propose",
            lambda scene: lambda: setup_actions.propose("a/b", actor=scene.dave, railway="p"),
        ),
        Try("accept", connecting),
        Try(
            "watch_only",
            lambda scene: lambda: watch_only.watch_only(scene.project, actor=scene.dave),
        ),
        Try("start_sending", only_watched),
        Try(
            "add",
            lambda scene: (
                lambda: smoke_tests.add(
                    scene.project, actor=scene.dave, service="backend", path="/new"
                )
            ),
        ),
        Try(
            "set_credential",
            connected(
                lambda scene: credentials.set_credential("github", actor=scene.dave, token="t")
            ),
        ),
        Try("use_the_portals", giving_back),
        Try(
            "keep_new_app",
            connected(lambda scene: github_app.keep_new_app("", actor=scene.dave, code="c")),
        ),
        Try(
            "use_new_app",
            connected(
                lambda scene: github_app.use_new_app(NewGitHubApp.objects.get(), actor=scene.dave)
            ),
        ),
        Try("make a token", lambda scene: lambda: tokens.make(scene.carol, "terminal")),
        Try("remove a token", with_token),
        Try("enrol", enrolling),
        Try("renew codes", enrolled(second_factor.renew_codes)),
        Try("remove a factor", enrolled(lambda who: second_factor.remove(who, actor=who))),
        Try(
            "a refused action",
            lambda scene: lambda: promotion_actions.promote(scene.release, actor=scene.carol),
        ),
    ]


def as_github(request: Request) -> Response:
    """Answer what is asked while a credential or an App is tried, as GitHub does."""
    if request.path.endswith("/conversions"):
        return Response(201, {"id": 1, "slug": "x", "pem": key_of_an_app()})
    if request.path.endswith("/access_tokens"):
        return Response(201, {"token": "ghs_x", "expires_at": "2100-01-01T00:00:00Z"})
    if request.path.endswith("/app/installations"):
        return Response(200, [{"id": 5, "account": {"login": "acme"}}])
    return Response(200, {})


@cache
def key_of_an_app() -> str:
    """Return a private key as GitHub makes them."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return made.private_bytes(*form).decode()


def every_action() -> set[str]:
    """The names of all functions that are actions, so that a new one cannot be forgotten here.

    Each module of the portal is looked into, whatever its file is called.
    """
    modules = map(import_module, modules_with_actions())
    return {
        name
        for module in modules
        for name, value in vars(module).items()
        if is_action(value) and value.__module__ == module.__name__
    }


def modules_with_actions() -> list[str]:
    """The names of the modules that decorate anything with `action`."""
    root = Path(__file__).resolve().parents[2]
    found = (path for app in APPS for path in sorted((root / app).rglob("*.py")))
    decorated = re.compile(r"^@(\w+\.)*action\b", re.M)
    return [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in found
        if decorated.search(path.read_text())
    ]


def is_action(value: object) -> bool:
    """Whether `value` is what `portal.ui.actions.action` makes of a function."""
    made_there = inspect.isfunction(value) and value.__code__.co_filename == of_people.__file__
    return made_there and hasattr(value, "__wrapped__")


class Scene:
    """A project with an open release, cut by alice; dave may do everything."""

    def __init__(self) -> None:
        from django.utils import timezone

        from environments.models import Project
        from tests.factory import make_people, make_project, make_release

        self.now = timezone.now()
        people = make_people()
        self.alice, self.dave, self.carol = people["alice"], people["dave"], people["carol"]
        self.project = make_project(f"project-{Project.objects.count()}")
        self.release = make_release(self.project, by=people["alice"], ready=True)

    def stopped_at(self, name: str) -> None:
        """Lets a promotion have stopped at the step `name`."""
        from tests.factory import make_promotion

        make_promotion(self.release, by=self.dave, at=name, failed=True)
        self.release.refresh_from_db()


@contextmanager
def not_permitted() -> Iterator[None]:
    """The portal's role may do everything but append to the chain."""
    _run(
        f"drop role if exists {ROLE}",
        f"create role {ROLE}",
        f"grant all on all tables in schema public to {ROLE}",
        f"grant all on all sequences in schema public to {ROLE}",
        f"set role {ROLE}",
    )
    try:
        yield
    finally:
        _run("reset role", f"drop owned by {ROLE}", f"drop role {ROLE}")


@contextmanager
def head_taken() -> Iterator[None]:
    """Another session holds the head of the chain and does not let go."""
    import psycopg
    from django.db import connection

    values = connection.settings_dict
    where = {
        "host": values["HOST"],
        "port": values["PORT"],
        "user": values["USER"],
        "dbname": values["NAME"],
    }
    _run("alter function portal_audit_append set lock_timeout = '100ms'")
    with psycopg.connect(**where, password=values["PASSWORD"]) as other:
        other.execute("select 1 from portal_audithead for update")
        try:
            yield
        finally:
            other.rollback()
            _run("alter function portal_audit_append set lock_timeout = '3s'")


@contextmanager
def disk_full() -> Iterator[None]:
    """PostgreSQL cannot write one more event."""
    _run(
        "create function faults_full() returns trigger language plpgsql as"
        " $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$",
        "create trigger aaa before insert on portal_auditchain for each row execute function"
        " faults_full()",
    )
    try:
        yield
    finally:
        _run("drop trigger aaa on portal_auditchain", "drop function faults_full")


DENIALS = {"not permitted": not_permitted, "head taken": head_taken, "disk full": disk_full}


def _run(*statements: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def everything() -> str:
    """A digest of every row of every table of the portal, asked for at once."""
    from django.apps import apps
    from django.db import connection

    tables = sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)})
    rows = "coalesce(string_agg(one::text, chr(10) order by one::text), '')"
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        cursor.execute(
            " union all ".join(f"select '{table}', {rows} from \"{table}\" one" for table in tables)
        )
        for table, content in sorted(cursor.fetchall()):
            digest.update(f"{table}\n{content}\n".encode())
    return digest.hexdigest()


def problem(act: Callable[[], Any], denial: Callable[[], Any], before: str) -> str:
    """What is wrong with `act` while its event is denied, "" when nothing; `before`: everything
    as it is now.
    """
    from django.db import DatabaseError

    with denial():
        try:
            act()
        except DatabaseError as error:
            if not any(word in str(error) for word in DENIED):
                return f"it was not the event that stopped it: {error!r}"
        except Exception as error:  # noqa: BLE001 - told
            return f"it was not the event that stopped it: {error!r}"
        else:
            return "it went through without its event"
    return "it changed something" if everything() != before else ""


def idle(act: Callable[[], Any], before: str) -> str:
    """What is wrong with `act` when its event is not denied: it must change something; nothing
    of it is kept.
    """
    from django.db import transaction

    from portal.ui.actions import Refused

    with transaction.atomic():
        try:
            act()
        except Refused:
            if everything() == before:
                return "it changes nothing anyway"
        transaction.set_rollback(True)
    return ""


def denied(one: Try) -> dict[str, str]:
    """Arranges the scene, tries with the event denied in each way, and says what is wrong."""
    act = one.arrange(Scene())
    before = everything()
    message = {}
    for denial, deny in DENIALS.items():
        message[denial] = problem(act, deny, before)
        if message[denial]:  # the scene may be spoilt
            act = one.arrange(Scene())
            before = everything()
    unmoved = idle(act, before)
    return {denial: what or unmoved for denial, what in message.items()}


def main() -> int:
    """Prints one line for each action and denial; 0 when every action was refused."""
    print("Actions while their audit event is denied")
    broken = 0
    with scratch_database():
        for one in tries():
            message = denied(one)
            broken += sum(map(bool, message.values()))
            print(
                f"  {one.name:18}",
                *(f"{denial}: {what or 'refused'}" for denial, what in message.items()),
                sep="  ",
            )
    print(
        f"  {len(tries()) * len(DENIALS) - broken} of {len(tries()) * len(DENIALS)} refused,"
        " nothing changed"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
