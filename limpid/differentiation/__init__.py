"""Kinds of derivative, the declaration of primitives, and reverse and forward mode over nodes."""
