"""Calls about variables."""

from collections.abc import Mapping, Sequence
from itertools import batched

from environments.railway import batch
from environments.railway.batch import Place
from environments.railway.calls import REFUSALS, Calls, done, secrets
from environments.railway.transport import SERVICE
from portal.outbound.credentials import Secret
from portal.outbound.http import ApiError, shaped


class Variables(Calls):
    """Reads and sets variables."""

    def variables(
        self, project: str, environment: str, service: str | None, *, unrendered: bool
    ) -> dict[str, Secret | None]:
        """Return variables by name; None is a sealed one: its value never comes back. No `service`:
        the shared.

        `unrendered` keeps references (`${{Service.NAME}}`) as written.
        """
        known = self._known.get((project, environment, service, unrendered))
        if known is not None:
            return known
        return self._ask(
            "variables",
            lambda data: secrets(data, "variables"),
            projectId=project,
            environmentId=environment,
            serviceId=service,
            unrendered=unrendered,
        )

    def variables_of(
        self, project: str, places: Sequence[Place], *, unrendered: bool
    ) -> dict[Place, dict[str, Secret | None] | ApiError]:
        """Return `variables` of many (environment, service), in one request for every 60; the error
        where it is refused.

        Railway answers a document with one refused place with nothing at all: then each place is
        asked by itself.
        """
        read: dict[Place, dict[str, Secret | None] | ApiError] = {}
        for some in batched(places, batch.MOST):
            given = {"projectId": project, "unrendered": unrendered} | batch.values(some)
            try:
                data = self.transport.ask_text(batch.variables_document(len(some)), **given)
                with shaped(SERVICE):
                    read |= {place: secrets(data, f"p{n}") for n, place in enumerate(some)}
            except ApiError as error:
                if error.kind not in REFUSALS or error.kind in ("unauthorized", "wrong_header"):
                    raise
                for place in some:
                    read[place] = self._variables_or_refusal(project, place, unrendered)
        return read

    def _variables_or_refusal(
        self, project: str, place: Place, unrendered: bool
    ) -> dict[str, Secret | None] | ApiError:
        try:
            return self.variables(project, *place, unrendered=unrendered)
        except ApiError as error:
            if error.kind not in REFUSALS:
                raise
            return error

    def remember(self, project: str, places: Sequence[Place]) -> None:
        """Read the rendered variables of `places` together; `variables` of this object then answers
        from memory.

        For one look at many places: nothing outlives this object. What is refused is asked again by
        itself.
        """
        variables = self.variables_of(project, places, unrendered=False)
        for (environment, service), values in variables.items():
            if not isinstance(values, ApiError):
                self._known[project, environment, service, False] = values

    def set_variables(
        self, project: str, environment: str, service: str, values: Mapping[str, str]
    ) -> None:
        """Set these variables of a service and deploy nothing; others stay."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        wanted = scope | {"variables": dict(values), "replace": False, "skipDeploys": True}
        self._write("set_variables", done("variableCollectionUpsert"), input=wanted)
