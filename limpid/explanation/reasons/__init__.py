"""Why a gradient is missing, zero or tiny."""
