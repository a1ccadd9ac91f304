"""Who may import whom, held by reading every module's syntax tree; what must stay light; what must never appear."""
import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pharmgpt"
MODULES = sorted(PACKAGE.rglob("*.py"))
GROUND = {"knowledge", "text", "run", "model"}  # they know nobody
MAY_IMPORT = {
    **{room: set() for room in GROUND},
    **{room: GROUND for room in ("corpus", "exam", "serve")},
    "train": GROUND - {"knowledge"},  # nothing that trains can see the truth except through data
    "report": {"run", "text"},  # it reads what a run left: folders and records
}
WITHOUT_TORCH = ("knowledge", "text", "run", "corpus", "lessons")
FREE = {"stages", "pipeline", "__main__", "cli", "kb_cli", "data_cli", "lesson_cli", "bench_cli", "lessons"}  # they join the rooms


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of all that a module imports, also inside its functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_imported(source: str) -> set[str]:
    return {name.split(".")[1] for name in imported(ast.parse(source)) if name.startswith("pharmgpt.")}


def test_every_room_of_the_house_has_a_rule():
    assert {room(path) for path in MODULES} - {"__init__"} <= MAY_IMPORT.keys() | FREE


@pytest.mark.parametrize("path", [path for path in MODULES if room(path) in MAY_IMPORT], ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    strangers = rooms_imported(path.read_text(encoding="utf-8")) - {room(path)} - MAY_IMPORT[room(path)]
    assert not strangers, f"{path.relative_to(ROOT)} imports {', '.join(sorted(strangers))}"


def test_a_forbidden_import_would_be_seen_wherever_it_hides():
    source = "import pharmgpt.exam.grade\ndef f():\n    from pharmgpt.train import ppo\n    from pharmgpt import stages"
    assert rooms_imported(source) == {"exam", "train", "stages"}


@pytest.mark.parametrize("room_name", WITHOUT_TORCH)
def test_no_module_of_a_light_room_names_torch(room_name):
    for path in (PACKAGE / room_name).rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
        assert not tops & {"torch", "safetensors"}, path


def test_light_modules_load_without_torch():
    """In a process of its own: what a module imports at second hand counts too."""
    light = [f"pharmgpt.{'.'.join(path.relative_to(PACKAGE).with_suffix('').parts)}" for path in MODULES
             if room(path) in (*WITHOUT_TORCH, "cli", "kb_cli", "data_cli", "lesson_cli", "bench_cli") and path.stem != "__init__"]
    code = ("import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
            "    assert 'torch' not in sys.modules, name")
    done = subprocess.run([sys.executable, "-c", code, *light], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_reads_or_writes_pickle(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not {name.split(".")[0] for name in imported(tree)} & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"torch.load", "torch.save", "eval", "exec"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_except_catches_everything_unnamed(path):
    handlers = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type is not None for handler in handlers)


def test_lines_are_at_most_140_columns():
    besides = [*(ROOT / "tests").glob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    long = [f"{path.relative_to(ROOT)}:{number}" for path in [*MODULES, *besides]
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 140]
    assert not long


def test_every_module_says_what_it_is():
    silent = [str(path.relative_to(ROOT)) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert not silent


def test_every_data_file_belongs_to_what_is_installed():
    """An editable install reads the checkout, so a forgotten pattern would be seen by strangers only."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    packed = {file for package, globs in patterns.items() for glob in globs for file in (ROOT / package.replace(".", "/")).glob(glob)}
    present = {path for path in PACKAGE.rglob("*") if path.suffix in (".toml", ".j2", ".html", ".js", ".css")}
    assert present <= packed, sorted(str(path.relative_to(ROOT)) for path in present - packed)
