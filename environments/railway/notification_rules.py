"""Calls about notification rules, by which Railway posts webhooks."""

from collections.abc import Sequence

from environments.railway import answers
from environments.railway.calls import Calls
from environments.railway.objects import Rule
from environments.railway.shape import shaped
from portal.outbound.parsing import Malformed, field


class NotificationRules(Calls):
    """Reads and changes notification rules."""

    def rules(self, workspace: str, project: str) -> tuple[Rule, ...]:
        """Return the notification rules that concern a project."""
        data = self.transport.ask("notification_rules", workspaceId=workspace, projectId=project)
        with shaped():
            return tuple(answers.read_rule(item) for item in field(data, "notificationRules", list))

    def add_rule(self, workspace: str, project: str, url: str, events: Sequence[str]) -> str:
        """Have Railway post these events of all the project's environments to `url`; return the
        id.
        """
        scope = {"workspaceId": workspace, "projectId": project}
        data = self.transport.write("add_notification_rule", input=scope | _posting(url, events))
        with shaped(write=True):
            return field(field(data, "notificationRuleCreate", dict), "id", str)

    def change_rule(self, rule_id: str, url: str, events: Sequence[str]) -> None:
        """Make a rule what `add_rule` would have made."""
        data = self.transport.write(
            "change_notification_rule", id=rule_id, input=_posting(url, events)
        )
        with shaped(write=True):
            if field(field(data, "notificationRuleUpdate", dict), "id", str) != rule_id:
                raise Malformed("another rule came back")


def _posting(url: str, events: Sequence[str]) -> dict[str, object]:
    channel = {"type": "webhook", "url": url}
    return {"eventTypes": list(events), "ephemeralEnvironments": True, "channelConfigs": [channel]}
