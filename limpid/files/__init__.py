"""State in files: nested, checked when it is read, whole or not there at all."""
