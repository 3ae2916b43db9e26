"""The house rules that a reader relies on, held by the code itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "harness": {"execution", "experiment"},
    "execution": {"simulation", "runtimes", "load", "reports", "faults", "measurement", "experiment"},
    "simulation": {"faults", "measurement", "experiment"},
    "runtimes": {"faults", "measurement", "experiment"},
    "load": {"faults", "measurement", "experiment"},
    "reports": {"faults", "measurement", "experiment"},
    "faults": {"experiment"},
    "measurement": {"experiment"},
    "experiment": set(),
    "reference_system": set(),
}
# Inside execution/, from a command's words down to one run.
STAGES = ("cli", "commands", "campaigns", "runs")
DOORS = {
    "docker": {"runtimes/docker_engine.py"},
    "toxiproxy": {"runtimes/links/adapter.py"},
    "locust": {"load/locustfile.py"},
    "yaml": {"experiment/yaml_source.py"},
    "matplotlib": {"reports/plots.py"},
}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
FORBIDDEN_NAMES = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}


def product_files() -> list[Path]:
    """Every Python file of the product, without tests, benchmarks and generated folders."""
    files = [ROOT / "harness.py"]
    for layer in LAYERS:
        if (ROOT / layer).is_dir():
            files += [p for p in (ROOT / layer).rglob("*.py") if ROOT / "reports" / "runs" not in p.parents]
    return sorted(files)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level names of imported modules, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0], node.lineno


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def modules_of(path: Path) -> Iterator[str]:
    """Full names of what a file imports when it runs, wherever in the file; not what types alone need."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", product_files(), ids=relative)
def test_imports_go_downward_only(path: Path) -> None:
    """A module imports its own layer and the layers below it, never one above or beside."""
    layer = layer_of(path)
    allowed = LAYERS[layer] | {layer}
    wrong = [f"line {line}: {name}" for name, line in imports(path) if name in LAYERS and name not in allowed]
    assert not wrong, f"{relative(path)} imports upward: {wrong}"


@pytest.mark.parametrize("path", sorted((ROOT / "execution").rglob("*.py")), ids=relative)
def test_the_stages_of_execution_go_downward_only(path: Path) -> None:
    """cli -> commands -> campaigns -> runs -> the files beside them; pytest's plugin stands on top."""
    stage = path.relative_to(ROOT).parts[1]
    if stage not in STAGES:
        forbidden = set() if path.name == "pytest_plugin.py" else set(STAGES)
    else:
        forbidden = set(STAGES[: STAGES.index(stage)])
    wrong = [name for name in modules_of(path) if name.split(".")[0] == "execution"]
    wrong = [name for name in wrong if len(name.split(".")) > 1 and name.split(".")[1] in forbidden]
    assert not wrong, f"{relative(path)} imports upward: {wrong}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Modules form no cycle when they are loaded; imports for types only do not count."""
    files = {module_name(path): path for path in product_files()}
    needs: dict[str, set[str]] = {}
    for name, path in files.items():
        # `from package import module` needs the module; the package itself was loaded before.
        found = set(modules_of(path)) & set(files)
        needs[name] = {n for n in found if not any(other.startswith(f"{n}.") for other in found)} - {name}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as cycle:
        pytest.fail(f"modules import one another: {' -> '.join(cycle.args[1])}")


@pytest.mark.parametrize("path", product_files(), ids=relative)
def test_libraries_have_one_door(path: Path) -> None:
    """Docker, Toxiproxy, Locust, YAML and matplotlib are each imported by one file only; SimPy by
    simulation/."""
    name = relative(path)
    for library, line in imports(path):
        if library in DOORS and not (library == "yaml" and name.startswith("reference_system/")):
            assert name in DOORS[library], f"{name}:{line} imports {library}; its door is {DOORS[library]}"
        if library == "simpy":
            assert name.startswith("simulation/"), f"{name}:{line} imports simpy outside simulation/"


@pytest.mark.parametrize("path", product_files(), ids=relative)
def test_files_and_functions_stay_small(path: Path) -> None:
    """Files have at most 300 lines and functions at most 60, so that each fits in a head."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES, f"{relative(path)} has {len(text.splitlines())} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, (
                f"{relative(path)}:{node.lineno} {node.name} has {length} lines"
            )


SEEDED = {
    "random": {"Random", "SystemRandom"},
    "numpy.random": {"default_rng", "SeedSequence", "Generator", "PCG64"},
}


@pytest.mark.parametrize("path", product_files(), ids=relative)
def test_randomness_is_seeded_and_passed_down(path: Path) -> None:
    """Nothing draws from the module-level generators of `random` or `numpy.random`, however imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in SEEDED:
            taken = {alias.name for alias in node.names}
            assert taken <= SEEDED[node.module], f"{relative(path)}:{node.lineno} imports {taken}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).replace("np.random", "numpy.random")
            if owner in SEEDED:
                assert node.func.attr in SEEDED[owner], f"{relative(path)}:{node.lineno}"


def test_no_folder_shadows_a_package() -> None:
    """No folder or file of the root bears the name of a standard or installed module."""
    mine = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    mine = {name for name in mine if not name.startswith(".")} - {"tests", "benchmarks", "docs"}
    taken = set(sys.stdlib_module_names) | set(packages_distributions())
    assert not mine & taken


def test_no_file_is_a_drawer_for_everything() -> None:
    """There is no utils.py and none of its cousins."""
    assert not [relative(path) for path in product_files() if path.name in FORBIDDEN_NAMES]


def test_every_test_says_what_it_holds() -> None:
    """Every test function has a docstring that is a sentence."""
    silent = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith(
                "test_"
            ):
                continue
            if not (ast.get_docstring(node) or "").rstrip().endswith("."):
                silent.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert not silent, silent
