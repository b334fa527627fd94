"""The portal's own tables: audit chain, accounts, changes of configuration, webhook deliveries."""

from portal.models.accounts import Authenticator, RecoveryCode
from portal.models.audit import AuditEvent, AuditHead
from portal.models.configuration import ConfigurationChange, RoleGrant
from portal.models.credentials import NewGitHubApp, ServiceCredential
from portal.models.first_start import SetupCode, SetupGuess
from portal.models.health import HealthWatch, Incident, Observation, ProcessReport
from portal.models.installation import Installation
from portal.models.sign_in_policy import Policy
from portal.models.tokens import AccessToken
from portal.models.webhooks import WebhookDelivery
