"""Kinds of findings about changes made outside the portal."""

from environments.finding_kinds.registry import Reading, kind

BYPASS = kind("bypass", "out-of-band change", reading=Reading.NOTHING, blocks=False)
