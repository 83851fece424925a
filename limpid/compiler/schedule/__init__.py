"""What is computed in one nest of loops, and in which order."""
