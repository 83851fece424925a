"""Shape arithmetic that a person can read: the summary of a model."""
