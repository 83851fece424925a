"""Native code: from contractions and graphs to LLVM, and running it."""
