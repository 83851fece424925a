"""Which pages are executed: that on native code only where there is some."""

from limpid.compiler.machine.target import native_target

collect_ignore = [] if native_target() is not None else ["native.md"]
