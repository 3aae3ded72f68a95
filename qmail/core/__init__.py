"""File formats and queue operations, one module a format."""
