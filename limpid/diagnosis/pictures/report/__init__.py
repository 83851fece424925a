"""The report of a run: one page with pictures and findings that opens from disk."""
