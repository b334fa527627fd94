"""What everybody with a role may see."""

SEE = (
    "environments.view_project",
    "environments.view_environment",
    "environments.view_finding",
    "environments.view_migrationrun",
    "environments.view_rehearsal",
    "releases.view_release",
    "releases.view_promotion",
    "releases.view_rollback",
    "releases.view_pullrequest",
    "releases.view_tasklog",
    "portal.view_auditevent",
    "portal.view_configurationchange",
)
