"""Where a NaN or an infinity comes from."""
