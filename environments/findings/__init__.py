"""A finding is something that is not as it should be: kinds, writer, page, and the queue of
repairs.
"""
