"""Who is compared with whom, and on what: one group for each file of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks.workloads import WORKLOADS, Convolutional


@dataclass(frozen=True)
class Entry:
    """A contender.

    title     in tables and pictures
    package   whose version is told
    kinds     of workloads that it does
    compiles  whether its first step is told, with and without its cache
    """

    title: str
    package: str
    kinds: tuple[str, ...] = ("network", "windows", "logistic", "scalars")
    compiles: bool = False

    @property
    def is_peer(self) -> bool:
        return self.package != "limpid"

    @property
    def version(self) -> str:
        """Package and version."""
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return f"{self.package} (not here)"


EAGER = ("network", "windows", "logistic", "scalars", "chain")
CONTENDERS = {
    "limpid_compiled": Entry("limpid compiled", "limpid", compiles=True),
    "limpid_eager": Entry("limpid eager", "limpid", EAGER),
    "torch_eager": Entry("PyTorch eager", "torch", EAGER),
    "torch_channels_last": Entry("PyTorch eager, channels last", "torch", ("windows",)),
    "torch_compiled": Entry("torch.compile", "torch", compiles=True),
    "jax_jit": Entry("JAX jit", "jax", compiles=True),
    "hips_autograd": Entry("HIPS autograd", "autograd", ("network", "chain")),
    "mygrad_eager": Entry("MyGrad", "mygrad", ("network", "chain")),
}


@dataclass(frozen=True)
class Group:
    """A file of results; whether the time of imports is told there, too."""

    title: str
    workloads: Sequence[str]
    contenders: Sequence[str]
    imports: bool = False

    def entrants(self, workload: str) -> list[str]:
        """Those of the group that can do a workload."""
        return [name for name in self.contenders if can_do(name, workload)]


GROUPS = {
    "compiled": Group(
        "The compiled step beside its peers",
        [name for name in WORKLOADS if name != "chain1000"],
        [
            "limpid_compiled", "limpid_eager", "torch_eager", "torch_channels_last",
            "torch_compiled", "jax_jit",
        ],
    ),
    "eager": Group(
        "Eager limpid beside its peers",
        ["mlp32", "mlp512", "chain1000"],
        ["limpid_eager", "torch_eager", "hips_autograd", "mygrad_eager"],
        imports=True,
    ),
    "windows": Group(
        "Convolutional networks, eager, beside PyTorch's two memory layouts",
        ["lenet5", "conv4", "time-delay"],
        ["limpid_eager", "torch_eager", "torch_channels_last"],
    ),
}  # fmt: skip


def can_do(contender: str, workload: str) -> bool:
    """Whether a contender does a workload."""
    work = WORKLOADS[workload]
    if contender == "torch_channels_last":
        return isinstance(work, Convolutional) and work.rank == 2
    return work.kind in CONTENDERS[contender].kinds


def entrants(workload: str) -> list[str]:
    """Those that any group asks for, each once."""
    asked = [g.entrants(workload) for g in GROUPS.values() if workload in g.workloads]
    return [name for name in CONTENDERS if any(name in names for names in asked)]
