"""Training programs that go wrong in known ways, each beside a right one of the same kind."""
