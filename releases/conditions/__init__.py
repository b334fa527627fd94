"""For which releases a checklist item counts. Start in `registry`."""
