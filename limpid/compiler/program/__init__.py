"""Graphs as values: the form that is made into loops."""
