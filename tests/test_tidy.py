"""The house rules that a machine can check: small files, small functions, no room that nobody enters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "jobsaga"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40

# Files that are one long table, with the reason why they are not cut up.
TABLES = {
    "jobsaga/messages.py": "the catalogue of messages",
    "jobsaga/sagas/attempt.py": "the attempt's state table",
    "jobsaga/sagas/job.py": "the job's state table",
    "jobsaga/sagas/job_type.py": "the job type's state table",
}

# What Django or a user's code imports by name, so that nothing in the package needs to.
ENTRANCES = {
    "admin",
    "apps",
    "django_tasks",
    "live",
    "management",
    "migrations",
    "models",
    "remote",
    "testing",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_FILE_LINES or name_of(path) in TABLES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))
    too_long = {f"{node.name} (line {node.lineno})": length(node) for node in functions}
    assert {name: lines for name, lines in too_long.items() if lines > MAX_FUNCTION_LINES} == {}


def test_every_exception_for_a_table_is_still_needed() -> None:
    assert [name for name in TABLES if len((ROOT / name).read_text().splitlines()) <= MAX_FILE_LINES] == []


def test_every_top_level_module_is_used() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if is_module(path)} - ENTRANCES
    assert sorted(modules - {module for path in FILES for module in modules_named_in(path)}) == []


def is_module(path: Path) -> bool:
    if path.is_dir():
        return any(path.rglob("*.py"))
    return path.suffix == ".py" and path.stem != "__init__"


def length(function: Function) -> int:
    """The lines of a function, from its ``def`` to its end, without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return lines


def modules_named_in(path: Path) -> Iterator[str]:
    """The top-level modules of jobsaga that a file imports, or names in a string as ``jobsaga.<module>``.

    The string counts because ``jobsaga/__init__.py`` and Django's settings load modules by name. A module's own
    files do not count.
    """
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        for dotted in names_in(node):
            root, _, rest = dotted.partition(".")
            module = rest.partition(".")[0]
            if root == "jobsaga" and module not in ("", own):
                yield module


def names_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
