"""Commands of a program that are no nests: calls of the contraction kernel, and filling memory.

contract(table, items)    A, B, C, items of a whole chunk; entries and their count for a whole
chunk, and for the last one
fill(table, items)        C, bytes for each item, further bytes; how often, and bytes from one to
the next
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.compiler.emission.code import SCALARS, literal

CONTRACT = "@contract"
FILL = """
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @fill(ptr %table, i64 %items) {
entry:
  %t1 = getelementptr i64, ptr %table, i64 1
  %t2 = getelementptr i64, ptr %table, i64 2
  %t3 = getelementptr i64, ptr %table, i64 3
  %t4 = getelementptr i64, ptr %table, i64 4
  %c = load ptr, ptr %table
  %of.item = load i64, ptr %t1
  %more = load i64, ptr %t2
  %times = load i64, ptr %t3
  %step = load i64, ptr %t4
  %of.items = mul i64 %of.item, %items
  %bytes = add i64 %of.items, %more
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %loop ]
  %far = mul i64 %n, %step
  %place = getelementptr i8, ptr %c, i64 %far
  call void @llvm.memset.p0.i64(ptr %place, i8 0, i64 %bytes, i1 false)
  %next = add i64 %n, 1
  %again = icmp ult i64 %next, %times
  br i1 %again, label %loop, label %done
done:
  ret void
}
"""
CHECK = """
define void @check(ptr %table, i64 %items) {
entry:
  %t1 = getelementptr ptr, ptr %table, i64 1
  %truth = load ptr, ptr %table
  %stop = load ptr, ptr %t1
  %byte = load i8, ptr %truth
  %wrong = icmp eq i8 %byte, 0
  br i1 %wrong, label %tell, label %done
tell:
  store i64 1, ptr %stop
  br label %done
done:
  ret void
}
"""


def contract_command(suffix: str) -> str:
    """The command that calls the kernel whose functions end in the suffix."""
    lines = [f"define void {CONTRACT}{suffix}(ptr %table, i64 %items) {{", "entry:"]
    numbers = ("chunk", "whole.count", "last.count")
    names = ("a", "b", "c", "chunk", "whole", "whole.count", "last", "last.count")
    for n, name in enumerate(names):
        kind = "i64" if name in numbers else "ptr"
        lines.append(f"  %at.{name} = getelementptr i64, ptr %table, i64 {n}")
        lines.append(f"  %{name} = load {kind}, ptr %at.{name}")
    return "\n".join(
        [
            *lines,
            "  %is.whole = icmp eq i64 %items, %chunk",
            "  %entries = select i1 %is.whole, ptr %whole, ptr %last",
            "  %count = select i1 %is.whole, i64 %whole.count, i64 %last.count",
            f"  call void @batch{suffix}(ptr %a, ptr %b, ptr %c, ptr %entries, i64 %count)",
            "  ret void",
            "}",
        ]
    )


def store_command(dtype: np.dtype[Any], number: Any) -> tuple[str, str]:
    """The name and text of `name(table, items)`: C, and how many elements become the number."""
    kind = "i8" if dtype.kind == "b" else SCALARS[dtype]
    text = str(int(number)) if dtype.kind == "b" else literal(dtype, number)
    name = f"store.{dtype.name}.{text}".replace("-", "minus")
    return (
        name,
        f"""
define void @{name}(ptr %table, i64 %items) {{
entry:
  %t1 = getelementptr i64, ptr %table, i64 1
  %c = load ptr, ptr %table
  %count = load i64, ptr %t1
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %loop ]
  %place = getelementptr {kind}, ptr %c, i64 %n
  store {kind} {text}, ptr %place
  %next = add i64 %n, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}}
""",
    )
