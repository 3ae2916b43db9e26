"""Small changes of a Python file's syntax tree: each is a mutant of the code that its tests are to kill.

Texts are left alone (most are words for people), and so are annotations, docstrings and imports.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "len", "sorted": "list"}
METHODS = {"min": "max", "max": "min", "any": "all", "all": "any", "first": "last", "last": "first"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, what it was and is, and the whole changed source.

    `function` is the qualified name of the outermost function or method that it lies in; empty outside of
    all, and where two share the name.
    """

    file: str
    function: str
    line: int
    was: str
    now: str
    source: str

    @property
    def text(self) -> str:
        return f"{self.file}:{self.line}: {self.was}  ->  {self.now}"


def places_in(source: str) -> list[int]:
    """The nodes of a file that can be changed, by their numbers in the order of `ast.walk`."""
    tree = ast.parse(source)
    skipped = _skipped(tree)
    nodes = enumerate(ast.walk(tree))
    return [number for number, node in nodes if id(node) not in skipped and _change(node) is not None]


def mutant_at(file: str, source: str, place: int) -> Mutant:
    """The file with one node changed."""
    tree = ast.parse(source)
    node = next(one for number, one in enumerate(ast.walk(tree)) if number == place)
    was, change = ast.unparse(node), _change(node)
    assert change is not None
    change(node)
    now = ast.unparse(ast.fix_missing_locations(node))
    line, function = getattr(node, "lineno", 0), _functions(tree).get(id(node), "")
    return Mutant(file, function, line, _short(was), _short(now), ast.unparse(tree))


def _functions(tree: ast.Module) -> dict[int, str]:
    """In which function or method each node of a file lies."""
    found: dict[int, str] = {}
    names: list[str] = []

    def within(holder: ast.Module | ast.ClassDef, prefix: str) -> None:
        for one in holder.body:
            if isinstance(one, ast.ClassDef):
                within(one, f"{prefix}{one.name}.")
            elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(f"{prefix}{one.name}")
                found.update({id(node): names[-1] for node in ast.walk(one)})

    within(tree, "")
    return {node: name for node, name in found.items() if names.count(name) == 1}


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 110 else f"{flat[:107]}..."


def _skipped(tree: ast.AST) -> set[int]:
    """Annotations, texts, and the parts of what is put into a text."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            parts.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts += [node.returns, *node.decorator_list]
        if isinstance(node, ast.ClassDef):
            parts += node.decorator_list
        if isinstance(node, ast.JoinedStr | ast.Assert | ast.Raise | ast.ImportFrom | ast.Import):
            parts.append(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            parts.append(node)
        for part in parts:
            if part is not None:
                found |= {id(one) for one in ast.walk(part)}
    return found


Change = Callable[[ast.AST], None]


def _change(node: ast.AST) -> Change | None:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        return _set_op
    if isinstance(node, ast.BoolOp):
        return _other_bool
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _of_text(node):
        return _other_operator
    if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        return _other_operator
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert | ast.USub):
        return _positive
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        return _other_constant
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        return _other_name
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        return _other_method
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return _other_branch
    if isinstance(node, ast.comprehension) and node.ifs:
        return _unfiltered
    # Nothing in the place of nothing or of False is no change: the constant itself is one of its own.
    if isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None", "return False"):
        return _nothing_returned
    return None


def _of_text(node: ast.BinOp) -> bool:
    return any(isinstance(s, ast.Constant) and isinstance(s.value, str) for s in (node.left, node.right))


def _set_op(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)
    node.ops[0] = COMPARISONS[type(node.ops[0])]()


def _other_bool(node: ast.AST) -> None:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _other_operator(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp | ast.AugAssign)
    node.op = OPERATORS[type(node.op)]()


def _positive(node: ast.AST) -> None:
    """`not x` and `~x` become x twice denied, `-x` becomes +x."""
    assert isinstance(node, ast.UnaryOp)
    if isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    else:
        node.operand = ast.UnaryOp(type(node.op)(), node.operand)


def _other_constant(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)
    node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1  # type: ignore[operator]  # only numbers and truths are taken


def _other_name(node: ast.AST) -> None:
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    node.func.id = NAMES[node.func.id]


def _other_method(node: ast.AST) -> None:
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    node.func.attr = METHODS[node.func.attr]


def _other_branch(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.IfExp | ast.While)
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _unfiltered(node: ast.AST) -> None:
    assert isinstance(node, ast.comprehension)
    node.ifs = []


def _nothing_returned(node: ast.AST) -> None:
    assert isinstance(node, ast.Return)
    node.value = ast.Constant(None)
