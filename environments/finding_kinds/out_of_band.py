"""What was done around the portal."""

from environments.finding_kinds.registry import Reading, kind

BYPASS = kind("bypass", "done around the portal", reading=Reading.NOTHING, blocks=False)
