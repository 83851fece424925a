"""Imports go downwards only, and `import limpid` brings in nothing optional."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import limpid

PACKAGE = Path(limpid.__file__).parent
ORDER = [
    "errors",
    "graph",
    "operators",
    "storage",
    "conversions",
    "tensor",
    "files",
    "differentiation",
    "ops",
    "transforms",
    "protocols",
    "linalg",
    "random",
    "compiler.machine",
    "compiler.contraction",
    "compiler.program",
    "compiler.schedule",
    "compiler.emission",
    "compiler.runtime",
    "compiler.steps",
    "compiler",
    "nn",
    "optim",
    "data",
    "training",
    "explanation",
    "diagnosis",
    "interop",
    "cli",
]
OPTIONAL = [
    "llvmlite", "rich", "typer", "safetensors", "matplotlib", "sklearn", "onnx", "tensorboard",
    "scipy", "torch", "jax", "threadpoolctl", "ipywidgets",
]  # fmt: skip


def layer(module: str) -> str:
    """The entry of ORDER that a module belongs to, or its name where none does."""
    parts = module.split(".")[1:]
    deeper = ".".join(parts[:2])
    return deeper if deeper in ORDER else "".join(parts[:1])


def imported(path: Path) -> set[str]:
    """Modules of limpid that a file imports, also inside functions."""
    found = set()
    for statement in ast.walk(ast.parse(path.read_text())):
        if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            found.add(statement.module)
            if statement.module == "limpid":
                found.update(f"limpid.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.Import):
            found.update(alias.name for alias in statement.names)
    return {name for name in found if name.startswith("limpid")}


def test_imports_go_downwards() -> None:
    upward = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        here = layer(module.removesuffix(".__init__"))
        if not here or here in ("__init__", "__main__"):
            continue
        for name in imported(path):
            there = layer(name)
            if there and there not in ORDER:
                continue  # a name of the public surface, checked by the next line
            if not there or ORDER.index(there) > ORDER.index(here):
                upward.append(f"{module} imports {name}")
    assert not upward


def test_files_have_one_subject() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {name: lines for name, lines in lengths.items() if lines > 420}


def test_import_brings_nothing_optional() -> None:
    code = f"import limpid, sys; print([m for m in {OPTIONAL!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_notes_when_it_was() -> None:
    """Else programs on disk would pass for those of files that have changed since."""
    code = "import limpid, sys; print('limpid.compiler.machine.sources' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_public_surface_is_explicit() -> None:
    """`__all__` names exactly what `limpid/__init__.py` imports for users."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    names = {
        alias.asname or alias.name
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert {n for n in names if not n.startswith("_")} == set(limpid.__all__)
    assert list(limpid.__all__) == sorted(limpid.__all__)
