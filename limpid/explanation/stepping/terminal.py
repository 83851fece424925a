"""The debugger at a terminal: one word for each move."""

from __future__ import annotations

import cmd
import sys
from collections.abc import Callable
from typing import IO, Any

from limpid.errors import ArgumentError, LimpidError
from limpid.explanation.stepping.debugger import Debugger
from limpid.explanation.stepping.moment import Moment, derivative

SHORT = {
    "f": "forward", "b": "back", "u": "until", "bu": "back_until", "w": "where", "r": "run",
    "p": "print", "s": "sums", "q": "quit", "l": "list", "h": "help",
}  # fmt: skip


class Terminal(cmd.Cmd):
    """Reads commands, one to a line, until `quit` or the end of the input."""

    def __init__(
        self, debugger: Debugger, stdin: IO[str] | None = None, stdout: IO[str] | None = None
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.debugger = debugger
        given = stdin if stdin is not None else sys.stdin
        self.use_rawinput = stdin is None and given.isatty()  # with a history of lines
        self.prompt = "(limpid) " if given.isatty() else ""

    def run(self) -> None:
        """Say where we are, then do what is asked."""
        self._say(f"{len(self.debugger.nodes)} nodes; help lists the commands")
        self._say(str(self.debugger.moment))
        while True:
            try:
                self.cmdloop()
                return
            except KeyboardInterrupt:
                self._say("interrupted; quit leaves")

    def precmd(self, line: str) -> str:
        """A short word for the long one."""
        word, _, rest = line.strip().partition(" ")
        return f"{SHORT.get(word, word)} {rest}".strip()

    def onecmd(self, line: str) -> bool:
        """One command; what is wrong with it is said, and nothing has moved."""
        try:
            return bool(super().onecmd(line))
        except LimpidError as error:
            self._say(str(error).removesuffix(f" [{error.id}]"))
            return False

    def emptyline(self) -> bool:
        """Nothing typed: the last move again."""
        return self.onecmd(self.lastcmd) if self.lastcmd.split()[:1] in REPEATED else False

    def default(self, line: str) -> None:
        """A word that is no command."""
        self._say(f"no command {line.split()[0]!r}; help lists them")

    def do_forward(self, text: str) -> None:
        """forward [N]: N steps on (f)"""
        self._move(self.debugger.forward, _number(text))

    def do_back(self, text: str) -> None:
        """back [N]: N steps back (b)"""
        self._move(self.debugger.back, _number(text))

    def do_until(self, text: str) -> None:
        """until WHERE: on to a scope, a name, a line such as net.py:31, a primitive (u)"""
        self._move(self.debugger.until, text)

    def do_back_until(self, text: str) -> None:
        """back_until WHERE: the same, looking back (bu)"""
        self._move(self.debugger.back_until, text)

    def do_run(self, text: str) -> None:
        """run: on to the next break, or to the end (r)"""
        self._move(self.debugger.run)

    def do_start(self, text: str) -> None:
        """start: back to the start"""
        self._move(self.debugger.start)

    def do_end(self, text: str) -> None:
        """end: to the end, past all breaks"""
        self._move(self.debugger.end)

    def do_where(self, text: str) -> None:
        """where: the line of your program, and its local variables at that time (w)"""
        self._say(str(self.debugger.where()))

    def do_list(self, text: str) -> None:
        """list: all nodes in the order of the program (l)"""
        here = self.debugger.moment.node
        for node in self.debugger.nodes:
            id_, name = self.debugger.ids[node], self.debugger.names[node]
            named = f" = {name}" if name != id_ else ""
            mark = "→" if id_ == here else " "
            self._say(f"{mark} {id_}{named}  [{node.op.name}]  {node.scope}".rstrip())

    def do_print(self, text: str) -> None:
        """print [NAME]: what a node computed, or the present step (p)"""
        self._say(str(self.debugger.value(text) if text else self.debugger.moment))

    def do_sums(self, text: str) -> None:
        """sums: the gradients as far as they have arrived (s)"""
        for name, total in self.debugger.sums().items():
            self._say(f"{derivative(name)} = {total}")

    def do_break(self, text: str) -> None:
        """break [CONDITION]: stop where it holds: nan, norm > 1e3, grad norm < 1e-8; or list all"""
        if text:
            self.debugger.break_on(text)
        for name in self.debugger.breaks:
            self._say(f"break on {name}")

    def do_clear(self, text: str) -> None:
        """clear [CONDITION]: forget one break, or all"""
        self.debugger.clear(text or None)

    def do_quit(self, text: str) -> bool:
        """quit: leave (q)"""
        return True

    def do_EOF(self, text: str) -> bool:  # noqa: N802  # as cmd calls the end of the input
        """The end of the input, too."""
        return True

    def do_help(self, text: str) -> None:
        """help: this list (h)"""
        for name in self.get_names():
            if name.startswith("do_") and name != "do_EOF":
                self._say(f"  {getattr(self, name).__doc__}")

    def _move(self, how: Callable[..., Moment], *arguments: Any) -> None:
        self._say(str(how(*arguments)))

    def _say(self, text: str) -> None:
        self.stdout.write(text + "\n")


REPEATED = (["forward"], ["back"], ["until"], ["back_until"])


def _number(text: str) -> int:
    if not text:
        return 1
    if not text.isdecimal():
        raise ArgumentError(f"a number of steps is a whole number, not {text!r}")
    return int(text)
