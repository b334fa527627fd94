"""A second person's signature under a release, and the risks that an approver accepts."""
