"""Going back: the assessment, rollbacks with their steps and signatures, downgrades."""
