"""Native functions that Python calls as its own, in LLVM's language.

Each is given the address of a record and an object, and returns an object. Python holds its lock
but while a program runs.

    run       a program, with the address of a team or 0: whether it came to its end
    unchanged a number of words; places and words: whether all of the places hold these
    collect   a form, and a tuple of arguments: the arrays among them as a tuple, None if the
              arguments are of another form
    point     a number of cells, cells or 0, and a tuple of arrays without gaps: their addresses go
              to the cells; whether all are without gaps

    form      leaves, arrays; the types of arrays and tensors, None, False; the leaves
    leaf      steps, its sort; for each step type, size and item of a list or a tuple, 1 for a list;
              what it must be:
                OBJECT  that one
                ARRAY   a type of elements, axes, extents; or a tensor with such a value and no
                        gradient
                WHOLE   the type and the size of a list or a tuple, of which nothing is looked at
"""

from __future__ import annotations

from limpid.compiler.emission.teamwork import replaced
from limpid.compiler.machine import anatomy
from limpid.graph.node import Node
from limpid.tensor import Tensor

STOP = 2  # the word of a program that ends it
OBJECT, ARRAY, WHOLE = 0, 1, 2

_CALLS = """
declare ptr @PyBool_FromLong(i64)
declare ptr @PyEval_SaveThread()
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare void @PyEval_RestoreThread(ptr)
declare void @Py_DecRef(ptr)
declare void @Py_IncRef(ptr)

define ptr @python.run(ptr %self, ptr %given) {
  %program = call ptr @PyLong_AsVoidPtr(ptr %self)
  %team = call ptr @PyLong_AsVoidPtr(ptr %given)
  %thread = call ptr @PyEval_SaveThread()
  call void @run(ptr %program, ptr %team)
  call void @PyEval_RestoreThread(ptr %thread)
  %at.stop = getelementptr i64, ptr %program, i64 STOP
  %stop = load i64, ptr %at.stop
  store i64 0, ptr %at.stop
  %went = icmp eq i64 %stop, 0
  %truth = zext i1 %went to i64
  %answer = call ptr @PyBool_FromLong(i64 %truth)
  ret ptr %answer
}

define ptr @python.unchanged(ptr %self, ptr %nothing) {
entry:
  %record = call ptr @PyLong_AsVoidPtr(ptr %self)
  %count = load i64, ptr %record
  %first = getelementptr i64, ptr %record, i64 1
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %here ]
  %more = icmp ult i64 %n, %count
  br i1 %more, label %here, label %end
here:
  %at.place = getelementptr [2 x i64], ptr %first, i64 %n
  %at.word = getelementptr i64, ptr %at.place, i64 1
  %place = load ptr, ptr %at.place
  %word = load i64, ptr %at.word
  %found = load i64, ptr %place, align 1
  %equal = icmp eq i64 %found, %word
  %next = add i64 %n, 1
  br i1 %equal, label %loop, label %end
end:
  %truth = phi i64 [ 1, %loop ], [ 0, %here ]
  %answer = call ptr @PyBool_FromLong(i64 %truth)
  ret ptr %answer
}

define ptr @python.point(ptr %self, ptr %arrays) {
entry:
  %record = call ptr @PyLong_AsVoidPtr(ptr %self)
  %count = load i64, ptr %record
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %done ]
  %more = icmp ult i64 %n, %count
  br i1 %more, label %here, label %end
here:
  %next = add i64 %n, 1
  %at.cell = getelementptr i64, ptr %record, i64 %next
  %items = getelementptr i8, ptr %arrays, i64 ITEMS
  %at.array = getelementptr ptr, ptr %items, i64 %n
  %cell = load ptr, ptr %at.cell
  %array = load ptr, ptr %at.array
  %at.flags = getelementptr i8, ptr %array, i64 FLAGS
  %flags = load i32, ptr %at.flags
  %row.major = and i32 %flags, 1
  %whole = icmp ne i32 %row.major, 0
  br i1 %whole, label %good, label %end
good:
  %at.data = getelementptr i8, ptr %array, i64 DATA
  %data = load ptr, ptr %at.data
  %unread = icmp eq ptr %cell, null
  br i1 %unread, label %done, label %write
write:
  store ptr %data, ptr %cell
  br label %done
done:
  br label %loop
end:
  %truth = phi i64 [ 1, %loop ], [ 0, %here ]
  %answer = call ptr @PyBool_FromLong(i64 %truth)
  ret ptr %answer
}

define ptr @python.collect(ptr %self, ptr %given) {
entry:
  %form = call ptr @PyLong_AsVoidPtr(ptr %self)
  %f1 = getelementptr i64, ptr %form, i64 1
  %f2 = getelementptr i64, ptr %form, i64 2
  %f3 = getelementptr i64, ptr %form, i64 3
  %f4 = getelementptr i64, ptr %form, i64 4
  %f5 = getelementptr i64, ptr %form, i64 5
  %first = getelementptr i64, ptr %form, i64 6
  %leaves = load i64, ptr %form
  %count = load i64, ptr %f1
  %array.type = load ptr, ptr %f2
  %tensor.type = load ptr, ptr %f3
  %none = load ptr, ptr %f4
  %false = load ptr, ptr %f5
  %made = call ptr @PyTuple_New(i64 %count)
  br label %leaf.loop
leaf.loop:
  %n = phi i64 [ 0, %entry ], [ %n.next, %leaf.done ]
  %at = phi ptr [ %first, %entry ], [ %at.next, %leaf.done ]
  %filled = phi i64 [ 0, %entry ], [ %filled.next, %leaf.done ]
  %n.next = add i64 %n, 1
  %another = icmp ult i64 %n, %leaves
  br i1 %another, label %leaf, label %yes
leaf:
  %at.sort = getelementptr i64, ptr %at, i64 1
  %first.step = getelementptr i64, ptr %at, i64 2
  %steps = load i64, ptr %at
  %sort = load i64, ptr %at.sort
  br label %step.loop
step.loop:
  %k = phi i64 [ 0, %leaf ], [ %k.next, %step.done ]
  %s = phi ptr [ %first.step, %leaf ], [ %s.next, %step.done ]
  %x = phi ptr [ %given, %leaf ], [ %item, %step.done ]
  %at.type = getelementptr i8, ptr %x, i64 TYPE
  %at.size = getelementptr i8, ptr %x, i64 SIZE
  %type = load ptr, ptr %at.type
  %s0 = load ptr, ptr %s
  %s.1 = getelementptr i64, ptr %s, i64 1
  %k.next = add i64 %k, 1
  %deeper = icmp ult i64 %k, %steps
  br i1 %deeper, label %step, label %end
step:
  %same.type = icmp eq ptr %type, %s0
  br i1 %same.type, label %step.size, label %no
step.size:
  %wanted = load i64, ptr %s.1
  %size = load i64, ptr %at.size
  %same.size = icmp eq i64 %size, %wanted
  br i1 %same.size, label %step.done, label %no
step.done:
  %s.2 = getelementptr i64, ptr %s, i64 2
  %s.3 = getelementptr i64, ptr %s, i64 3
  %s.next = getelementptr i64, ptr %s, i64 4
  %number = load i64, ptr %s.2
  %list.word = load i64, ptr %s.3
  %is.list = icmp ne i64 %list.word, 0
  %inside = getelementptr i8, ptr %x, i64 ITEMS
  %outside = load ptr, ptr %inside
  %items = select i1 %is.list, ptr %outside, ptr %inside
  %at.item = getelementptr ptr, ptr %items, i64 %number
  %item = load ptr, ptr %at.item
  br label %step.loop
end:
  switch i64 %sort, label %whole [ i64 0, label %object
                                   i64 1, label %array ]
object:
  %same.object = icmp eq ptr %x, %s0
  br i1 %same.object, label %leaf.done, label %no
whole:
  %same.whole = icmp eq ptr %type, %s0
  br i1 %same.whole, label %whole.size, label %no
whole.size:
  %whole.wanted = load i64, ptr %s.1
  %whole.found = load i64, ptr %at.size
  %whole.next = getelementptr i64, ptr %s, i64 2
  %same.whole.size = icmp eq i64 %whole.found, %whole.wanted
  br i1 %same.whole.size, label %leaf.done, label %no
array:
  %is.tensor = icmp eq ptr %type, %tensor.type
  br i1 %is.tensor, label %tensor, label %value
tensor:
  %at.node = getelementptr i8, ptr %x, i64 NODE
  %at.value = getelementptr i8, ptr %x, i64 VALUE
  %node = load ptr, ptr %at.node
  %tensor.value = load ptr, ptr %at.value
  %no.node = icmp eq ptr %node, null
  %no.value = icmp eq ptr %tensor.value, null
  %unmade = or i1 %no.node, %no.value
  br i1 %unmade, label %no, label %made.up
made.up:
  %alone = icmp eq ptr %node, %none
  br i1 %alone, label %value, label %asked
asked:
  %at.requires = getelementptr i8, ptr %node, i64 REQUIRES
  %requires = load ptr, ptr %at.requires
  %open = icmp ne ptr %requires, %false
  br i1 %open, label %no, label %value
value:
  %y = phi ptr [ %x, %array ], [ %tensor.value, %made.up ], [ %tensor.value, %asked ]
  %at.y.type = getelementptr i8, ptr %y, i64 TYPE
  %y.type = load ptr, ptr %at.y.type
  %is.array = icmp eq ptr %y.type, %array.type
  br i1 %is.array, label %fits, label %no
fits:
  %at.dtype = getelementptr i8, ptr %y, i64 DTYPE
  %at.axes = getelementptr i8, ptr %y, i64 AXES
  %at.shape = getelementptr i8, ptr %y, i64 SHAPE
  %dtype = load ptr, ptr %at.dtype
  %axes = load i32, ptr %at.axes
  %shape = load ptr, ptr %at.shape
  %rank = zext i32 %axes to i64
  %wanted.rank = load i64, ptr %s.1
  %extents = getelementptr i64, ptr %s, i64 2
  %same.dtype = icmp eq ptr %dtype, %s0
  %same.rank = icmp eq i64 %rank, %wanted.rank
  %likely = and i1 %same.dtype, %same.rank
  br i1 %likely, label %axis.loop, label %no
axis.loop:
  %d = phi i64 [ 0, %fits ], [ %d.next, %axis ]
  %at.extent = getelementptr i64, ptr %shape, i64 %d
  %at.wanted = getelementptr i64, ptr %extents, i64 %d
  %d.next = add i64 %d, 1
  %further = icmp ult i64 %d, %rank
  br i1 %further, label %axis, label %take
axis:
  %extent = load i64, ptr %at.extent
  %wanted.extent = load i64, ptr %at.wanted
  %same.extent = icmp eq i64 %extent, %wanted.extent
  br i1 %same.extent, label %axis.loop, label %no
take:
  call void @Py_IncRef(ptr %y)
  %put = call i32 @PyTuple_SetItem(ptr %made, i64 %filled, ptr %y)
  %filled.more = add i64 %filled, 1
  br label %leaf.done
leaf.done:
  %at.next = phi ptr [ %s.1, %object ], [ %whole.next, %whole.size ], [ %at.wanted, %take ]
  %filled.next = phi i64 [ %filled, %object ], [ %filled, %whole.size ], [ %filled.more, %take ]
  br label %leaf.loop
yes:
  ret ptr %made
no:
  call void @Py_DecRef(ptr %made)
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}
"""


def calls() -> str:
    """The text, which belongs to that of the interpreter."""
    words: dict[str, object] = {
        "TYPE": anatomy.TYPE, "SIZE": anatomy.SIZE, "ITEMS": anatomy.ITEMS, "DATA": anatomy.DATA,
        "AXES": anatomy.AXES, "SHAPE": anatomy.SHAPE, "DTYPE": anatomy.DTYPE,
        "FLAGS": anatomy.FLAGS, "NODE": anatomy.slot(Tensor, "node"),
        "VALUE": anatomy.slot(Tensor, "_value"), "REQUIRES": anatomy.slot(Node, "requires_grad"),
        "STOP": STOP,
    }  # fmt: skip
    return replaced(_CALLS, words)
