"""Going back: whether the old code can live with the new schema, and what a downgrade loses."""
