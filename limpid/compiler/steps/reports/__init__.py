"""What a step shows of its native code: the loops, what they take, and the memory they need."""
