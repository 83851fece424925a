"""From the text of LLVM's language to functions that can be called."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import numpy as np

from limpid.compiler.machine import cache as disk
from limpid.compiler.machine.builtin import symbols
from limpid.compiler.machine.target import Target
from limpid.graph.node import Array

_loading = threading.Lock()  # LLVM's contexts are not for several threads at once


class Loaded:
    """A compiled module, which has this name in the cache on disk."""

    def __init__(self, engine: Any, name: str):
        self._engine, self.name = engine, name

    def address(self, name: str) -> int:
        """Where a function is."""
        return int(self._engine.get_function_address(name))

    def function(self, name: str, *kinds: Any) -> Any:
        """A function of the module that returns nothing, as ctypes calls it."""
        made: Any = ctypes.CFUNCTYPE(None, *kinds)(self.address(name))
        made.module = self  # which must live as long
        return made


def load(text: str, target: Target) -> Loaded:
    """The compiled module, from the cache on disk if it is there."""
    binding = _binding()
    name = disk.key(text, target.name, target.features, *version())
    with _loading:
        module = binding.parse_assembly(text)
        machine = _machine(target)
        found = disk.read(name)
        if found is None:
            module.verify()
            _optimise(module, machine)
        engine = binding.create_mcjit_compiler(module, machine)
        engine.set_object_cache(
            lambda _, content: disk.write(name, bytes(content)), lambda _: found
        )
        engine.finalize_object()
    return Loaded(engine, name)


def version() -> list[str]:
    """Of what makes functions from texts."""
    return [*map(str, _binding().llvm_version_info), *_PASSES]


def load_again(name: str, target: Target) -> Loaded | None:
    """A module that was loaded before, without its text; None if it is not in the cache."""
    content = disk.read(name)
    if content is None:
        return None
    binding = _binding()
    with _loading:
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(target))
        engine.add_object_file(binding.ObjectFileRef.from_data(content))
        engine.finalize_object()
    return Loaded(engine, name)


# Vectors, tiles and masks are written out already, so few passes do; LLVM's usual ones take as long
# as all else together, and nothing runs faster for it.
_PASSES = (
    "always_inliner", "global_dead_code_eliminate", "sroa", "instruction_combine", "new_gvn",
    "simplify_cfg",
)  # fmt: skip


def _optimise(module: Any, machine: Any) -> None:
    binding = _binding()
    for function in module.functions:
        if function.linkage == binding.Linkage.internal:  # of formulas: calls cost registers
            function.add_function_attribute("alwaysinline")
    passes = binding.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(passes, f"add_{name}_pass")()
    options = binding.create_pipeline_tuning_options()
    passes.run(module, binding.create_pass_builder(machine, options))


@cache
def _binding() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for name, place in symbols().items():
        binding.add_symbol(name, place)
    return binding


def _machine(target: Target) -> Any:
    found = _binding().Target.from_default_triple()
    return found.create_target_machine(cpu=target.name, features=target.features, opt=3)


def _read_address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _read_field(array: Array) -> int:
    """The first field of NumPy's array object: six times as quick."""
    return int(_word(id(array) + object.__basicsize__).value)


_word = ctypes.c_size_t.from_address
_sample = np.empty(1)
address = _read_field if _read_field(_sample) == _read_address(_sample) else _read_address
