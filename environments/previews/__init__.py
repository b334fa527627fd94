"""A preview environment for each pull request that is to have one."""
