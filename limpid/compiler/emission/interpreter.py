"""The native function that runs a program: tables of commands, in groups, in phases, on threads.

All records are integers of 64 bits.

    program   phases, where they are, and a number that ends the program when it is not 0
    phase     tasks, where they are, whether several threads share them; or 0, 0, 0 and a body
    task      a group, and the number of a slot
    group     commands, their functions, their tables (for each worker), patches, where they are
              (for each worker), items of a chunk, items in all, chunks of a slot,
              commands that begin a slot, ticks that each command took (for each worker) or 0
    patch     a place in a table, where the address of an array is found, then what is added:
              bytes, bytes for each item before the chunk, bytes for each slot
    command   a function of a table and the number of items in the chunk
    body      a program that runs within another one: what the first run does, and what the further
              ones do; how often; where the address of a truth is
              found, or 0, bytes added to it, and what the truth must be; copies, where they are;
              moves, where they are
    copy      done before a body: where the addresses of target and source are found, each with
              what is added; bytes
    move      done before each run of a body: a cell to which an address is written, where one is
              found, what is added, and again for each run before

    run(program, team)    does all phases; `team` may be null
"""

from __future__ import annotations

from limpid.compiler.emission.teamwork import BUSY, replaced, team
from limpid.compiler.machine.instructions import ticks

_RUN = """
define internal void @patch(ptr %first, i64 %count, i64 %item, i64 %slot) {
entry:
  %any = icmp ne i64 %count, 0
  br i1 %any, label %loop, label %done
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr [5 x i64], ptr %first, i64 %n
  %p1 = getelementptr i64, ptr %p, i64 1
  %p2 = getelementptr i64, ptr %p, i64 2
  %p3 = getelementptr i64, ptr %p, i64 3
  %p4 = getelementptr i64, ptr %p, i64 4
  %place = load ptr, ptr %p
  %cell = load ptr, ptr %p1
  %base = load i64, ptr %cell
  %offset = load i64, ptr %p2
  %of.item = load i64, ptr %p3
  %of.slot = load i64, ptr %p4
  %items = mul i64 %of.item, %item
  %slots = mul i64 %of.slot, %slot
  %a = add i64 %base, %offset
  %b = add i64 %a, %items
  %c = add i64 %b, %slots
  store i64 %c, ptr %place
  %next = add i64 %n, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal void @commands(ptr %functions, ptr %tables, i64 %from, i64 %to, i64 %items) {
entry:
  %any = icmp ult i64 %from, %to
  br i1 %any, label %loop, label %done
loop:
  %n = phi i64 [ %from, %entry ], [ %next, %loop ]
  %at.function = getelementptr ptr, ptr %functions, i64 %n
  %at.table = getelementptr ptr, ptr %tables, i64 %n
  %function = load ptr, ptr %at.function
  %table = load ptr, ptr %at.table
  call void %function(ptr %table, i64 %items)
  %next = add i64 %n, 1
  %more = icmp ult i64 %next, %to
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal void @timed(ptr %functions, ptr %tables, i64 %from, i64 %to, i64 %items,
                            ptr %ticks) {
entry:
  %any = icmp ult i64 %from, %to
  br i1 %any, label %begin, label %done
begin:
  %first = TICKS
  br label %loop
loop:
  %n = phi i64 [ %from, %begin ], [ %next, %loop ]
  %then = phi i64 [ %first, %begin ], [ %now, %loop ]
  %at.function = getelementptr ptr, ptr %functions, i64 %n
  %at.table = getelementptr ptr, ptr %tables, i64 %n
  %at.ticks = getelementptr i64, ptr %ticks, i64 %n
  %function = load ptr, ptr %at.function
  %table = load ptr, ptr %at.table
  call void %function(ptr %table, i64 %items)
  %now = TICKS
  %passed = sub i64 %now, %then
  %before = load i64, ptr %at.ticks
  %sum = add i64 %before, %passed
  store i64 %sum, ptr %at.ticks
  %next = add i64 %n, 1
  %more = icmp ult i64 %next, %to
  br i1 %more, label %loop, label %done
done:
  ret void
}

define internal void @each(ptr %functions, ptr %tables, i64 %from, i64 %to, i64 %items,
                           ptr %ticks) {
entry:
  %plain = icmp eq ptr %ticks, null
  br i1 %plain, label %quick, label %slow
quick:
  call void @commands(ptr %functions, ptr %tables, i64 %from, i64 %to, i64 %items)
  ret void
slow:
  call void @timed(ptr %functions, ptr %tables, i64 %from, i64 %to, i64 %items, ptr %ticks)
  ret void
}

define internal void @task(ptr %task, i64 %worker) {
entry:
  %group = load ptr, ptr %task
  %at.slot = getelementptr i64, ptr %task, i64 1
  %slot = load i64, ptr %at.slot
  %g1 = getelementptr i64, ptr %group, i64 1
  %g2 = getelementptr i64, ptr %group, i64 2
  %g3 = getelementptr i64, ptr %group, i64 3
  %g4 = getelementptr i64, ptr %group, i64 4
  %g5 = getelementptr i64, ptr %group, i64 5
  %g6 = getelementptr i64, ptr %group, i64 6
  %g7 = getelementptr i64, ptr %group, i64 7
  %g8 = getelementptr i64, ptr %group, i64 8
  %g9 = getelementptr i64, ptr %group, i64 9
  %count = load i64, ptr %group
  %functions = load ptr, ptr %g1
  %all.tables = load ptr, ptr %g2
  %patches = load i64, ptr %g3
  %all.patches = load ptr, ptr %g4
  %chunk = load i64, ptr %g5
  %extent = load i64, ptr %g6
  %per.slot = load i64, ptr %g7
  %beginning = load i64, ptr %g8
  %all.ticks = load ptr, ptr %g9
  %timing = icmp ne ptr %all.ticks, null
  %ticks.before = mul i64 %count, %worker
  %own.ticks = getelementptr i64, ptr %all.ticks, i64 %ticks.before
  %ticks = select i1 %timing, ptr %own.ticks, ptr null
  %at.tables = getelementptr ptr, ptr %all.tables, i64 %worker
  %at.patches = getelementptr ptr, ptr %all.patches, i64 %worker
  %tables = load ptr, ptr %at.tables
  %first.patch = load ptr, ptr %at.patches
  %share = mul i64 %chunk, %per.slot
  %from = mul i64 %slot, %share
  %beyond = add i64 %from, %share
  %to = call i64 @llvm.umin.i64(i64 %beyond, i64 %extent)
  call void @patch(ptr %first.patch, i64 %patches, i64 %from, i64 %slot)
  call void @each(ptr %functions, ptr %tables, i64 0, i64 %beginning, i64 %chunk, ptr %ticks)
  %any = icmp ult i64 %from, %to
  br i1 %any, label %loop, label %done
loop:
  %item = phi i64 [ %from, %entry ], [ %next, %loop ]
  %left = sub i64 %to, %item
  %items = call i64 @llvm.umin.i64(i64 %left, i64 %chunk)
  call void @patch(ptr %first.patch, i64 %patches, i64 %item, i64 %slot)
  call void @each(ptr %functions, ptr %tables, i64 %beginning, i64 %count, i64 %items, ptr %ticks)
  %next = add i64 %item, %chunk
  %more = icmp ult i64 %next, %to
  br i1 %more, label %loop, label %done
done:
  ret void
}
declare i64 @llvm.umin.i64(i64, i64)

define internal void @phases(ptr %program, ptr %team) {
; All phases of a program; alone if the team is null.
entry:
  %count = load i64, ptr %program
  %at.phases = getelementptr i64, ptr %program, i64 1
  %phases = load ptr, ptr %at.phases
  %stop = getelementptr i64, ptr %program, i64 2
  %alone = icmp eq ptr %team, null
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %end ]
  %more = icmp ult i64 %n, %count
  br i1 %more, label %phase, label %done
phase:
  %p = getelementptr [4 x i64], ptr %phases, i64 %n
  %p1 = getelementptr i64, ptr %p, i64 1
  %p2 = getelementptr i64, ptr %p, i64 2
  %p3 = getelementptr i64, ptr %p, i64 3
  %tasks.count = load i64, ptr %p
  %tasks = load ptr, ptr %p1
  %shared.word = load i64, ptr %p2
  %body = load ptr, ptr %p3
  %plain = icmp eq ptr %body, null
  br i1 %plain, label %tasks.of.phase, label %within
within:
  call void @body(ptr %body, ptr %team)
  br label %end
tasks.of.phase:
  %one.thread = icmp eq i64 %shared.word, 0
  %serial = or i1 %one.thread, %alone
  br i1 %serial, label %each, label %together
together:
  call void @share(ptr %team, ptr %tasks, i64 %tasks.count)
  br label %end
each:
  %t = phi i64 [ 0, %tasks.of.phase ], [ %t.next, %one ]
  %t.more = icmp ult i64 %t, %tasks.count
  br i1 %t.more, label %one, label %end
one:
  %task = getelementptr [2 x i64], ptr %tasks, i64 %t
  call void @task(ptr %task, i64 0)
  %t.next = add i64 %t, 1
  br label %each
end:
  %next = add i64 %n, 1
  %stopped = load i64, ptr %stop
  %go.on = icmp eq i64 %stopped, 0
  br i1 %go.on, label %loop, label %done
done:
  ret void
}

define internal void @body(ptr %body, ptr %team) {
entry:
  %b1 = getelementptr i64, ptr %body, i64 1
  %b2 = getelementptr i64, ptr %body, i64 2
  %b3 = getelementptr i64, ptr %body, i64 3
  %b4 = getelementptr i64, ptr %body, i64 4
  %b5 = getelementptr i64, ptr %body, i64 5
  %b6 = getelementptr i64, ptr %body, i64 6
  %b7 = getelementptr i64, ptr %body, i64 7
  %b8 = getelementptr i64, ptr %body, i64 8
  %b9 = getelementptr i64, ptr %body, i64 9
  %first.run = load ptr, ptr %body
  %further.run = load ptr, ptr %b1
  %runs = load i64, ptr %b2
  %truth.cell = load ptr, ptr %b3
  %copies = load i64, ptr %b6
  %first.copy = load ptr, ptr %b7
  %moves = load i64, ptr %b8
  %first.move = load ptr, ptr %b9
  %always = icmp eq ptr %truth.cell, null
  br i1 %always, label %copies.loop, label %look
look:
  %truth.base = load ptr, ptr %truth.cell
  %truth.far = load i64, ptr %b4
  %wanted = load i64, ptr %b5
  %truth.place = getelementptr i8, ptr %truth.base, i64 %truth.far
  %truth = load i8, ptr %truth.place
  %is = icmp ne i8 %truth, 0
  %must = icmp ne i64 %wanted, 0
  %chosen = icmp eq i1 %is, %must
  br i1 %chosen, label %copies.loop, label %done
copies.loop:
  %c = phi i64 [ 0, %entry ], [ 0, %look ], [ %c.next, %copy ]
  %c.more = icmp ult i64 %c, %copies
  br i1 %c.more, label %copy, label %runs.loop
copy:
  %k = getelementptr [5 x i64], ptr %first.copy, i64 %c
  %k1 = getelementptr i64, ptr %k, i64 1
  %k2 = getelementptr i64, ptr %k, i64 2
  %k3 = getelementptr i64, ptr %k, i64 3
  %k4 = getelementptr i64, ptr %k, i64 4
  %target.cell = load ptr, ptr %k
  %target.base = load ptr, ptr %target.cell
  %target.far = load i64, ptr %k1
  %source.cell = load ptr, ptr %k2
  %source.base = load ptr, ptr %source.cell
  %source.far = load i64, ptr %k3
  %bytes = load i64, ptr %k4
  %target = getelementptr i8, ptr %target.base, i64 %target.far
  %source = getelementptr i8, ptr %source.base, i64 %source.far
  call void @llvm.memmove.p0.p0.i64(ptr %target, ptr %source, i64 %bytes, i1 false)
  %c.next = add i64 %c, 1
  br label %copies.loop
runs.loop:
  %n = phi i64 [ 0, %copies.loop ], [ %next, %ready ]
  %more = icmp ult i64 %n, %runs
  br i1 %more, label %moves.loop, label %done
moves.loop:
  %m = phi i64 [ 0, %runs.loop ], [ %m.next, %move ]
  %m.more = icmp ult i64 %m, %moves
  br i1 %m.more, label %move, label %ready
move:
  %v = getelementptr [4 x i64], ptr %first.move, i64 %m
  %v1 = getelementptr i64, ptr %v, i64 1
  %v2 = getelementptr i64, ptr %v, i64 2
  %v3 = getelementptr i64, ptr %v, i64 3
  %cell = load ptr, ptr %v
  %base.cell = load ptr, ptr %v1
  %base = load i64, ptr %base.cell
  %offset = load i64, ptr %v2
  %step = load i64, ptr %v3
  %far = mul i64 %step, %n
  %a = add i64 %base, %offset
  %address = add i64 %a, %far
  store i64 %address, ptr %cell
  %m.next = add i64 %m, 1
  br label %moves.loop
ready:
  %is.first = icmp eq i64 %n, 0
  %program = select i1 %is.first, ptr %first.run, ptr %further.run
  call void @phases(ptr %program, ptr %team)
  %next = add i64 %n, 1
  br label %runs.loop
done:
  ret void
}
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)

define void @run(ptr %program, ptr %team) {
entry:
  %at.busy = getelementptr i64, ptr %team, i64 BUSY
  %alone = icmp eq ptr %team, null
  br i1 %alone, label %serial, label %take
take:
  %pair = cmpxchg ptr %at.busy, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %together, label %serial
serial:
  call void @phases(ptr %program, ptr null)
  ret void
together:
  call void @phases(ptr %program, ptr %team)
  store atomic i64 0, ptr %at.busy seq_cst, align 8
  ret void
}
"""


def interpreter() -> str:
    """The text of the module."""
    clock, declared = ticks()
    return f"{declared}\n{replaced(_RUN, {'BUSY': BUSY, 'TICKS': clock})}\n{team()}"
