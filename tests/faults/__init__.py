"""Training programs that go wrong in known ways, each beside one that is nearly the same and right."""
