"""Counting changes of objects that hold state, so that what was found once can be kept."""

from __future__ import annotations


class Changes:
    """Changes of attributes of all modules and optimisers since the process began.

    `any` counts every one, and whether a leaf requires a gradient; `structure` those that can
    change which state there is, or its names.
    """

    any = 0
    structure = 0
