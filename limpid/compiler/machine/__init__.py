"""What the processor can do; from text of LLVM to functions, kept on disk."""
