"""A digit anywhere on a canvas: networks that scan it, and networks that look at it whole."""
