"""Threads that share the tasks of a phase, in LLVM's language.

    begin(team), finish(team)   before the first of them comes, and that all of them leave
    work(team, worker)          what another thread does until the team is ended
    share(team, tasks, count)   a phase that they do together

A phase is one number, the ticket: in its upper half the number of the phase, in its lower half the
task to be taken next. Who adds one to it has the task, and until that is done the phase stays; so
whoever comes late touches nothing that may be gone. Between phases there are no tasks: the count
is 0 when the ticket changes, and set last of all. Those who find no tasks look again for a fraction
of a millisecond, then sleep.
"""

from __future__ import annotations

from limpid.compiler.machine.instructions import pause

TICKET, TASKS, COUNT, DONE, SLEEPERS, END, BUSY, MUTEX, CONDITION = 0, 8, 9, 16, 24, 32, 40, 48, 64
TEAM = 80  # words of a team
LOOKS = 3000  # before going to sleep

_TEAM = """
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

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


def team() -> str:
    """The text; `task(task, worker)` has to be there."""
    waiting, declared = pause()
    words = {
        "COUNT": COUNT, "TASKS": TASKS, "DONE": DONE, "SLEEPERS": SLEEPERS, "MUTEX": MUTEX,
        "CONDITION": CONDITION, "END": END, "LOOKS": LOOKS, "PAUSE": waiting,
    }  # fmt: skip
    return f"{declared}\n{replaced(_TEAM, words)}"


def replaced(text: str, words: dict[str, object]) -> str:
    """A text with what stands for words at the ends of its lines."""
    for name, meaning in words.items():
        text = text.replace(f" {name}\n", f" {meaning}\n")
    return text
