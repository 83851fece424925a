"""Functions of functions: recording, gradients, Jacobians, recomputation, numerical checks."""
