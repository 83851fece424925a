"""Linear algebra on matrices in the last two axes; `limpid.linalg` is the public namespace."""
