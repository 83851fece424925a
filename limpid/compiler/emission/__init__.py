"""Text in LLVM's language."""
