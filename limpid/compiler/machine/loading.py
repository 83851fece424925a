"""From the text of LLVM's language to functions that can be called."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

from limpid.compiler.machine import cache as disk
from limpid.compiler.machine.target import Target
from limpid.graph.node import Array

_loading = threading.Lock()  # LLVM's contexts are not for several threads at once


class Loaded:
    """A compiled module."""

    def __init__(self, engine: Any):
        self._engine = engine

    def function(self, name: str, *kinds: Any) -> Any:
        """A function of the module that returns nothing, as Python calls it."""
        made = ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(name))
        made.module = self  # type: ignore[attr-defined]  # which must live as long
        return made


def load(text: str, target: Target) -> Loaded:
    """The compiled module, from the cache on disk if it is there."""
    binding = _binding()
    name = disk.key(text, target.name, target.features, *map(str, binding.llvm_version_info))
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
    return Loaded(engine)


def _optimise(module: Any, machine: Any) -> None:
    options = _binding().create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = False
    builder = _binding().create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


@cache
def _binding() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _machine(target: Target) -> Any:
    found = _binding().Target.from_default_triple()
    return found.create_target_machine(cpu=target.name, features=target.features, opt=3)


def address(array: Array) -> int:
    """Where the first element of an array is in memory."""
    return int(array.__array_interface__["data"][0])
