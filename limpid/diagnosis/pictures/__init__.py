"""Pictures of what a network does: each is made from plain data, which it also gives."""
