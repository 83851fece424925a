"""The doctor: facts of a training step, rules over them, and a report of what is wrong."""
