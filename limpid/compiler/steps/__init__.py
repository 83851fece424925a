"""`limpid.compile`: functions recorded, guarded, run."""
