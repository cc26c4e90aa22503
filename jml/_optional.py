"""Packages that only an extra brings: where one is missing, one line says so."""

from collections.abc import Callable, Iterable
from typing import Any

from jml.errors import UserError

DISTRIBUTION = "jax-metric-learning"
# What pip calls a package that is imported by another name.
NAMES = {
    "PIL": "pillow",
    "faiss": "faiss-cpu",
    "fontTools": "fonttools",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
}
# The extra of the distribution that brings a package; fontTools comes with matplotlib.
EXTRAS = {
    **dict.fromkeys(("PIL", "fontTools", "matplotlib", "safetensors"), "train"),
    **dict.fromkeys(("sklearn", "tqdm"), "train"),
    **dict.fromkeys(("cykooz_resizer", "simplejpeg"), "fast"),
    **dict.fromkeys(
        ("array_record", "importlib_resources", "tensorflow_datasets"), "tfds"
    ),
    **dict.fromkeys(("torch", "torchvision"), "torch"),
    "faiss": "faiss",
    "flatbuffers": "export",
    "pyarrow": "parquet",
    "ray": "ray",
    "usearch": "usearch",
}


def missing(*modules: str) -> str | None:
    """Which modules cannot be imported, and what to run; None where all can.

    >>> missing("json", "no_such_package")
    'no_such_package, which is not installed; run: pip install no_such_package'
    """
    absent: list[str] = []
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            cause = (error.name or module).partition(".")[0]
            if cause not in modules:  # the module is there, but not one that it needs
                name = NAMES.get(module, module)
                return (
                    f"{name}, which cannot be imported ({error}); run: pip install"
                    f" --force-reinstall {name}"
                )
            absent += [cause] * (cause not in absent)
    if not absent:
        return None
    names = [NAMES.get(module, module) for module in absent]
    *others, last = names
    listed = f"{', '.join(others)} and {last}" if others else last
    are = "are" if len(names) > 1 else "is"
    return f"{listed}, which {are} not installed; run: {install(*absent)}"


def install(*modules: str) -> str:
    """The command that installs packages, by the extras that bring them.

    >>> install("flatbuffers", "PIL", "tqdm", "wandb")
    'pip install "jax-metric-learning[export,train]" wandb'
    """
    extras = sorted({EXTRAS[module] for module in modules if module in EXTRAS})
    others = [NAMES.get(m, m) for m in modules if m not in EXTRAS]
    words = [f'"{DISTRIBUTION}[{",".join(extras)}]"'] * bool(extras) + others
    return " ".join(["pip install", *words])


def need(purpose: str, *modules: str) -> None:
    """Raises a ``UserError`` if one of them cannot be imported.

    >>> need("drawing", "no_such_package")
    Traceback (most recent call last):
    ...
    jml.errors.UserError: drawing needs no_such_package, which is not installed; ...
    """
    if problem := missing(*modules):
        raise UserError(f"{purpose} needs {problem}")


def progress_bar(
    steps: Iterable, name: str | None = None, total: int | None = None
) -> Any:
    """The steps, with a bar on a terminal where tqdm is installed."""
    if missing("tqdm"):
        return steps
    from tqdm import tqdm

    return tqdm(steps, name, total, leave=False, disable=None)


def counted_bar(name: str) -> Callable[[Iterable, int], Any]:
    """``progress_bar`` for what passes steps and their number."""
    return lambda steps, total: progress_bar(steps, name, total)
