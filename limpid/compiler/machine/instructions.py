"""Instructions that processors have in different forms, in LLVM's language, with declarations."""

from __future__ import annotations

import platform


def pause() -> tuple[str, str]:
    """What a waiting thread does, so that it does not hinder others."""
    machine = _machine()
    if machine == "x86":
        return "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"
    if machine == "arm":
        return "call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"
    return "fence seq_cst", ""


def ticks() -> tuple[str, str]:
    """The processor's clock; on ARM the system's, since that of cycles is closed to programs."""
    if _machine() == "arm":
        return 'call i64 asm sideeffect "mrs $0, cntvct_el0", "=r"()', ""
    return "call i64 @llvm.readcyclecounter()", "declare i64 @llvm.readcyclecounter()"


def _machine() -> str:
    name = platform.machine().lower()
    if name in ("x86_64", "amd64", "i686"):
        return "x86"
    return "arm" if name in ("arm64", "aarch64") else name
