"""The layers of jml, read from its source: ``python -m tests.layers`` prints them.

All imports count: those at the top of a module, those inside functions, and those that
only a type checker reads.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

# From the bottom up. A module may import its own layer's package and the layers below
# it; the packages of one layer do not import each other.
LAYERS = (
    ("errors",),
    ("distances",),
    ("pairwise",),
    ("tiles",),
    ("miners",),
    ("losses",),
    ("models", "data", "evaluation"),
    ("training",),
    ("report", "inference"),
    ("jml",),  # the package itself: each public sub-package, on first use
    ("app",),
)
BOTTOM = "errors"  # and with it the private modules that lie directly in jml/
# A private module that another package may import, and why.
PRIVATE = {
    ("losses", "jml.pairwise._memory"): "jml.losses alone exports the memory",
}
# Front doors: a few lines that hand over to the commands of jml.app.
DOORS = ("jml.__main__", "jml.export", "jml.evaluation.__main__")


class Import(NamedTuple):
    """One import of one module of jml by another, and where it stands."""

    importer: str
    imported: str
    place: str  # file:line

    def __str__(self) -> str:
        return f"{self.place}: {self.importer} imports {self.imported}"


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The file of each module of jml, by the module's name."""
    files = {}
    for path in sorted((root / "jml").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imported_names(name: str, path: Path) -> Iterator[tuple[str, str | None, int]]:
    """Each import of a module: from where, what (None: all of it), and the line."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, node.lineno
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = [*above, node.module] if node.level else [node.module]
            for alias in node.names:
                yield ".".join(filter(None, source)), alias.name, node.lineno


def imports(files: Mapping[str, Path]) -> list[Import]:
    """All imports of modules of jml by modules of jml.

    Whoever imports ``jml.a._b`` also runs ``jml/a/__init__.py``, which counts as well,
    unless the importer itself lies in ``jml.a``.
    """
    edges = []
    for name, path in files.items():
        for source, what, line in imported_names(name, path):
            whole = f"{source}.{what}"
            target = whole if whole in files else source
            if target not in files:
                continue
            parts = target.split(".")
            parents = [".".join(parts[:i]) for i in range(1, len(parts))]
            outside = [p for p in parents if not f"{name}.".startswith(f"{p}.")]
            place = f"{path.name}:{line}"
            if ROOT in path.parents:
                place = f"{path.relative_to(ROOT)}:{line}"
            edges += [Import(name, each, place) for each in (*outside, target)]
    return list(dict.fromkeys(edges))


def unit(module: str) -> str:
    """The package or module of ``LAYERS`` that a module of jml belongs to."""
    first = f"{module}.".split(".")[1]
    if not first:
        return "jml"
    return BOTTOM if first.startswith("_") else first


def upward(edges: list[Import]) -> list[Import]:
    """The imports that point upward or sideways; those of ``DOORS`` may."""
    floor = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for edge in edges:
        above, below = unit(edge.importer), unit(edge.imported)
        if edge.importer in DOORS or above == below:
            continue
        if edge.imported in DOORS or not floor[above] > floor[below]:
            wrong.append(edge)
    return wrong


def circles(edges: list[Import]) -> list[list[str]]:
    """Groups of modules that import each other, directly or by way of others."""
    graph: dict[str, set[str]] = {}
    for edge in edges:
        graph.setdefault(edge.importer, set()).add(edge.imported)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph.get(start, ()))
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph.get(module, ())
        return seen

    from_each = {module: reached(module) for module in graph}
    groups = {
        tuple(sorted(m for m in from_each[module] if module in from_each.get(m, ())))
        for module in graph
        if module in from_each[module]
    }
    return [list(group) for group in sorted(groups)]


def private(edges: list[Import]) -> tuple[list[Import], dict[str, list[Import]]]:
    """Imports of a private module of another package; all may use those of jml/.

    Returns:
        Those that are not allowed, and those that ``PRIVATE`` allows, by the reason.
    """
    forbidden: list[Import] = []
    allowed: dict[str, list[Import]] = {reason: [] for reason in PRIVATE.values()}
    for edge in edges:
        importer, imported = unit(edge.importer), unit(edge.imported)
        if importer == imported or imported == BOTTOM or edge.importer in DOORS:
            continue
        if any(part.startswith("_") for part in edge.imported.split(".")):
            reason = PRIVATE.get((importer, edge.imported))
            (forbidden if reason is None else allowed[reason]).append(edge)
    return forbidden, allowed


def third_party(module: str, files: Mapping[str, Path]) -> set[str]:
    """The packages that a module needs, by itself or through modules of jml."""
    edges, waiting, seen = imports(files), [module], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [edge.imported for edge in edges if edge.importer == name]
    sources = {
        source.partition(".")[0]
        for name in seen
        for source, _, _ in imported_names(name, files[name])
    }
    return sources - {"jml"} - set(sys.stdlib_module_names)


def main() -> None:
    """Prints the numbers, and each import that breaks a rule."""
    files = modules()
    edges = imports(files)
    forbidden, allowed = private(edges)
    for title, wrong in (
        ("imports that point upward or sideways", upward(edges)),
        ("circles between modules", circles(edges)),
        ("imports of another package's private modules", forbidden),
    ):
        print(f"{title}: {len(wrong)}")
        for each in wrong:
            print(f"  {each if isinstance(each, Import) else ' <-> '.join(each)}")
    for reason, these in allowed.items():
        print(f"  and {len(these)} that are allowed: {reason}")
    needs = ", ".join(sorted(third_party("jml.losses", files)))
    print(f"jml.losses needs {needs}")
    print(f"modules: {len(files)}, imports between them: {len(edges)}")


if __name__ == "__main__":
    main()
