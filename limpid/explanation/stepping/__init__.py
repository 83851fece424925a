"""Going through a function forward and backward, both ways."""
