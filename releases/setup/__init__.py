"""From a pasted credential to a connected project, and what is sent from then on."""
