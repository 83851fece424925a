"""Wrong backward functions, each with the cause that the checker must name.

`seen` served while the checker was written; `unseen` was set aside until it was finished.
"""
