"""One kernel for all contractions, and its use for eager ones."""
