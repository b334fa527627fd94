"""The kinds of findings, one file for each subject. Start in `registry`."""
