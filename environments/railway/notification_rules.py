"""Calls about notification rules, by which Railway posts webhooks."""

from collections.abc import Sequence

from environments.railway.answers import read_rule
from environments.railway.calls import Calls, id_of, under
from environments.railway.objects import Rule
from environments.railway.transport import SERVICE
from portal.outbound.http import unknown_outcome
from portal.outbound.parsing import JsonObject, field


class NotificationRules(Calls):
    """Reads and changes notification rules."""

    def rules(self, workspace: str, project: str) -> tuple[Rule, ...]:
        """Return the notification rules that concern a project."""

        def read(data: JsonObject) -> tuple[Rule, ...]:
            return tuple(map(read_rule, field(data, "notificationRules", list)))

        return self._ask("notification_rules", read, workspaceId=workspace, projectId=project)

    def add_rule(self, workspace: str, project: str, url: str, events: Sequence[str]) -> str:
        """Have Railway post these events of the whole project to `url`; return the rule's id."""
        wanted = {"workspaceId": workspace, "projectId": project, **_posting(url, events)}
        made = under("notificationRuleCreate", id_of)
        return self._write("add_notification_rule", made, input=wanted)

    def change_rule(self, rule_id: str, url: str, events: Sequence[str]) -> None:
        """Make a rule what `add_rule` would have made."""
        changed = under("notificationRuleUpdate", id_of)
        posting = _posting(url, events)
        if self._write("change_notification_rule", changed, id=rule_id, input=posting) != rule_id:
            raise unknown_outcome(SERVICE, "another rule came back")


def _posting(url: str, events: Sequence[str]) -> dict[str, object]:
    channel = {"type": "webhook", "url": url}
    return {"eventTypes": list(events), "ephemeralEnvironments": True, "channelConfigs": [channel]}
