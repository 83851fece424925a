"""Spotting a word in recordings: networks that scan them, and networks that look at them whole."""
