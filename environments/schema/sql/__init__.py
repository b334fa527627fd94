"""SQL as PostgreSQL's own parser reads it: which kind of statement it is, and which objects it
acts on.
"""
