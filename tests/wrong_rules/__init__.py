"""Wrong backward functions, each with the cause that the checker must name.

`seen` served while the checker was written; `unseen` was written with it and set aside until the
checker was finished. Then came `late`, with mistakes deeper inside, and after it `fresh`.
Named at the first run: unseen 39 of 40, late 17 of 27, fresh 28 of 31.
"""
