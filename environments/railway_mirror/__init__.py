"""Our rows as copies of what Railway says: the jobs that read it and write them down."""
