"""The native function that runs a program: tables of commands, in groups, in phases, on threads.

All records are integers of 64 bits.

    program   phases, where they are, and a number that ends the program when it is not 0
    phase     tasks, where they are, whether several threads share them
    task      a group, and the number of a slot
    group     commands, their functions, their tables (for each worker), patches, where they are
              (for each worker), items of a chunk, items in all, chunks of a slot,
              commands that begin a slot, ticks that each command took (for each worker) or 0
    patch     a place in a table, where the address of an array is found, then what is added:
              bytes, bytes for each item before the chunk, bytes for each slot
    command   a function of a table and the number of items in the chunk

    run(program, team)    does all phases; `team` may be null
    work(team, worker)    what another thread does until the team is ended
    same(places, numbers, count)    whether the numbers at these places are these

A team's phase is one number, the ticket: in its upper half the number of the phase, in its lower
half the task to be taken next. Who adds one to it has the task, and until that is done the phase
stays; so whoever comes late touches nothing that may be gone. Between phases there are no tasks:
the count is 0 when the ticket changes, and set last of all. Those who find no tasks look again
for a fraction of a millisecond, then sleep.
"""

from __future__ import annotations

from limpid.compiler.machine.instructions import pause, ticks

TICKET, TASKS, COUNT, DONE, SLEEPERS, END, BUSY, MUTEX, CONDITION = 0, 8, 9, 16, 24, 32, 40, 48, 64
TEAM = 80  # words of a team
LOOKS = 3000  # before going to sleep

_RUN = """
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

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

define internal i64 @claim(ptr %team, i64 %worker) {
; Take a task and do it; 0 if there was none.
entry:
  %at.count = getelementptr i64, ptr %team, i64 COUNT
  %at.tasks = getelementptr i64, ptr %team, i64 TASKS
  %at.done = getelementptr i64, ptr %team, i64 DONE
  br label %try
try:
  %ticket = load atomic i64, ptr %team seq_cst, align 8
  %count = load atomic i64, ptr %at.count seq_cst, align 8
  %tasks.word = load atomic i64, ptr %at.tasks seq_cst, align 8
  %n = and i64 %ticket, 4294967295
  %any = icmp ult i64 %n, %count
  br i1 %any, label %take, label %none
take:
  %following = add i64 %ticket, 1
  %pair = cmpxchg ptr %team, i64 %ticket, i64 %following seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %do, label %try
do:
  %tasks = inttoptr i64 %tasks.word to ptr
  %task = getelementptr [2 x i64], ptr %tasks, i64 %n
  call void @task(ptr %task, i64 %worker)
  %before = atomicrmw add ptr %at.done, i64 1 seq_cst
  ret i64 1
none:
  ret i64 0
}

define internal void @share(ptr %team, ptr %tasks, i64 %count) {
; A phase that several threads do.
entry:
  %at.count = getelementptr i64, ptr %team, i64 COUNT
  %at.tasks = getelementptr i64, ptr %team, i64 TASKS
  %at.done = getelementptr i64, ptr %team, i64 DONE
  %at.sleepers = getelementptr i64, ptr %team, i64 SLEEPERS
  %mutex = getelementptr i64, ptr %team, i64 MUTEX
  %condition = getelementptr i64, ptr %team, i64 CONDITION
  %word = ptrtoint ptr %tasks to i64
  store atomic i64 0, ptr %at.count seq_cst, align 8
  %old = load atomic i64, ptr %team seq_cst, align 8
  %phase = and i64 %old, -4294967296
  %ticket = add i64 %phase, 4294967296
  store atomic i64 %ticket, ptr %team seq_cst, align 8
  store atomic i64 %word, ptr %at.tasks seq_cst, align 8
  store atomic i64 0, ptr %at.done seq_cst, align 8
  store atomic i64 %count, ptr %at.count seq_cst, align 8
  %sleepers = load atomic i64, ptr %at.sleepers seq_cst, align 8
  %asleep = icmp ne i64 %sleepers, 0
  br i1 %asleep, label %wake, label %loop
wake:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = call i32 @pthread_cond_broadcast(ptr %condition)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %loop
loop:
  %did = call i64 @claim(ptr %team, i64 0)
  %more = icmp ne i64 %did, 0
  br i1 %more, label %loop, label %wait
wait:
  %done = load atomic i64, ptr %at.done seq_cst, align 8
  %all = icmp uge i64 %done, %count
  br i1 %all, label %end, label %pause
pause:
  PAUSE
  br label %wait
end:
  ret void
}

define void @run(ptr %program, ptr %team) {
entry:
  %count = load i64, ptr %program
  %at.phases = getelementptr i64, ptr %program, i64 1
  %phases = load ptr, ptr %at.phases
  %stop = getelementptr i64, ptr %program, i64 2
  %at.busy = getelementptr i64, ptr %team, i64 BUSY
  %alone = icmp eq ptr %team, null
  br i1 %alone, label %start, label %take
take:
  %pair = cmpxchg ptr %at.busy, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue { i64, i1 } %pair, 1
  br label %start
start:
  %team.is.mine = phi i1 [ false, %entry ], [ %mine, %take ]
  br label %loop
loop:
  %n = phi i64 [ 0, %start ], [ %next, %end ]
  %more = icmp ult i64 %n, %count
  br i1 %more, label %phase, label %all
phase:
  %p = getelementptr [3 x i64], ptr %phases, i64 %n
  %p1 = getelementptr i64, ptr %p, i64 1
  %p2 = getelementptr i64, ptr %p, i64 2
  %tasks.count = load i64, ptr %p
  %tasks = load ptr, ptr %p1
  %shared.word = load i64, ptr %p2
  %shared = icmp ne i64 %shared.word, 0
  %parallel = and i1 %shared, %team.is.mine
  br i1 %parallel, label %together, label %each
together:
  call void @share(ptr %team, ptr %tasks, i64 %tasks.count)
  br label %end
each:
  %t = phi i64 [ 0, %phase ], [ %t.next, %one ]
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
  br i1 %go.on, label %loop, label %all
all:
  br i1 %team.is.mine, label %release, label %done
release:
  store atomic i64 0, ptr %at.busy seq_cst, align 8
  br label %done
done:
  ret void
}

define i64 @same(ptr %places, ptr %numbers, i64 %count) {
entry:
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %here ]
  %more = icmp ult i64 %n, %count
  br i1 %more, label %here, label %yes
here:
  %at.place = getelementptr ptr, ptr %places, i64 %n
  %at.number = getelementptr i64, ptr %numbers, i64 %n
  %place = load ptr, ptr %at.place
  %found = load i64, ptr %place
  %number = load i64, ptr %at.number
  %equal = icmp eq i64 %found, %number
  %next = add i64 %n, 1
  br i1 %equal, label %loop, label %no
yes:
  ret i64 1
no:
  ret i64 0
}

define void @begin(ptr %team) {
entry:
  %mutex = getelementptr i64, ptr %team, i64 MUTEX
  %condition = getelementptr i64, ptr %team, i64 CONDITION
  %m = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %c = call i32 @pthread_cond_init(ptr %condition, ptr null)
  ret void
}

define void @finish(ptr %team) {
entry:
  %at.end = getelementptr i64, ptr %team, i64 END
  %mutex = getelementptr i64, ptr %team, i64 MUTEX
  %condition = getelementptr i64, ptr %team, i64 CONDITION
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 1, ptr %at.end seq_cst, align 8
  %b = call i32 @pthread_cond_broadcast(ptr %condition)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

define void @work(ptr %team, i64 %worker) {
entry:
  %at.sleepers = getelementptr i64, ptr %team, i64 SLEEPERS
  %at.end = getelementptr i64, ptr %team, i64 END
  %at.count = getelementptr i64, ptr %team, i64 COUNT
  %mutex = getelementptr i64, ptr %team, i64 MUTEX
  %condition = getelementptr i64, ptr %team, i64 CONDITION
  br label %awake
awake:
  br label %look
look:
  %looks = phi i64 [ 0, %awake ], [ %looked, %again ]
  %did = call i64 @claim(ptr %team, i64 %worker)
  %any = icmp ne i64 %did, 0
  br i1 %any, label %awake, label %nothing
nothing:
  %end = load atomic i64, ptr %at.end seq_cst, align 8
  %ended = icmp ne i64 %end, 0
  br i1 %ended, label %out, label %again
again:
  PAUSE
  %looked = add i64 %looks, 1
  %enough = icmp ugt i64 %looked, LOOKS
  br i1 %enough, label %sleep, label %look
sleep:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %s = atomicrmw add ptr %at.sleepers, i64 1 seq_cst
  br label %check
check:
  %ticket = load atomic i64, ptr %team seq_cst, align 8
  %count = load atomic i64, ptr %at.count seq_cst, align 8
  %n = and i64 %ticket, 4294967295
  %there = icmp ult i64 %n, %count
  %end2 = load atomic i64, ptr %at.end seq_cst, align 8
  %ended2 = icmp ne i64 %end2, 0
  %up = or i1 %there, %ended2
  br i1 %up, label %wake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
wake:
  %d = atomicrmw sub ptr %at.sleepers, i64 1 seq_cst
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %awake
out:
  ret void
}
"""


def interpreter() -> str:
    """The text of the module."""
    (waiting, declared), (clock, declared_clock) = pause(), ticks()
    words = {
        "COUNT": COUNT, "TASKS": TASKS, "DONE": DONE, "SLEEPERS": SLEEPERS, "MUTEX": MUTEX,
        "CONDITION": CONDITION, "END": END, "BUSY": BUSY, "LOOKS": LOOKS, "PAUSE": waiting,
        "TICKS": clock,
    }  # fmt: skip
    text = _RUN
    for name, number in words.items():
        text = text.replace(f" {name}\n", f" {number}\n")  # a whole word at the end of a line
    return f"{declared}\n{declared_clock}\n{text}"
