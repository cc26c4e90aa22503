"""How Sphinx builds these pages: CONTRIBUTING.md has the command.

The cells of a page run in a process of their own, in an empty folder, whenever the page
is read. An exception in a cell, and anything a cell writes to stderr, is a warning, and
the build turns warnings into errors.
"""

import inspect
import os
import pydoc
import re
import sys
import typing
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent

# jaxtyping then prints its shapes in signatures. It reads this when it is imported.
typing.GENERATING_DOCUMENTATION = True
sys.path.insert(0, str(ROOT))

import sphinx.builders  # noqa: E402
from docutils import nodes  # noqa: E402
from sphinx.transforms.post_transforms import SphinxPostTransform  # noqa: E402
from sphinx.util.nodes import make_refnode  # noqa: E402

import jml  # noqa: E402
from jml.pairwise import Side  # noqa: E402

# What the processes of the cells find: this tree, and programs compiled before.
os.environ["PYTHONPATH"] = str(ROOT)
os.environ["MATPLOTLIBRC"] = str(DOCS / "matplotlibrc")
os.environ["IPYTHONDIR"] = str(DOCS / "_ipython")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(DOCS / "_build" / "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

project = "JML"
version = release = jml.__version__
author = "The JML authors"
project_copyright = f"2026 {author}"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_ipython"]
default_role = "code"  # docstrings write `name`, as Markdown does

# Pages: MyST Markdown with $...$, and links to headings.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# Cells.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 120  # seconds a cell
nb_execution_show_tb = True
nb_output_stderr = "warn"
nb_merge_streams = True

# A button copies code, without prompts and without what it prints.
copybutton_selector = "div.cell_input pre, div:not(.output) > div.highlight > pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_remove_prompts = True

# API.
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autosummary_generate = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 70
toc_object_entries_show_parents = "hide"

# The site: nothing of it comes from elsewhere.
html_theme = "sphinx_book_theme"
html_title = "JML"
html_context = {"default_mode": "auto"}  # light or dark, as the system is
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "footer_content_items": ["copyright"],
    "navbar_persistent": [],
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "use_repository_button": False,
}
mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}}


# Doctests, code and formulas.
NO_WORDS = re.compile(
    r"(^ *(?:>>>|\.\.\.) [^\n]*|``.+?``|`[^`]+`"
    r"|\$\$.+?\$\$|(?<![\w$\\])\$[^$`]+\$(?![\w$]))",
    flags=re.DOTALL | re.MULTILINE,
)


def write_rst(app, what, name, obj, options, lines):
    """Makes reStructuredText of what docstrings write as Markdown does.

    $...$ and $$...$$ become maths; |x| stays what it is, and so does a letter behind
    code, as in ``Split``s. In a module's docstring a paragraph that is indented becomes
    a block of code.
    """
    text = "\n".join(lines)
    parts = NO_WORDS.split(text)
    for number, part in enumerate(parts):
        if number % 2 == 0:
            part = re.sub(r"\|(\w+)\|", r"\|\1\|", part)
            if number and parts[number - 1].endswith("`"):
                part = re.sub(r"^(?=\w)", r"\ ", part)
        elif part.startswith("$$"):
            part = ".. math:: " + " ".join(part.strip("$").split())
        elif part.startswith("$"):
            part = f":math:`{part[1:-1]}`"
        elif part.startswith("``"):
            part = part.replace(" . ", " · ")  # a full stop would end a summary
        parts[number] = part
    text = "".join(parts)
    if what == "module":
        text = re.sub(r"(?<=[^:]\n\n)(?=    \S)", "::\n\n", text)
    lines[:] = text.split("\n")


def describe_field(app, what, name, obj, options, lines):
    """Gives a field of a named tuple, which has no docstring, the comment beside it."""
    if isinstance(obj, type(Side.labels)):
        source = inspect.getsource(pydoc.locate(name.rpartition(".")[0]))
        field = re.escape(name.rpartition(".")[2])
        comment = re.search(rf"^    {field}: .*?  # (.*)$", source, re.MULTILINE)
        lines[:] = [comment[1][0].upper() + comment[1][1:] + "."] if comment else []


def skip_values(app, what, name, obj, skip, options):
    """Leaves constants and names of types to the pages, which explain them."""
    if what == "module" and not getattr(obj, "__module__", "").startswith("jml"):
        return True
    return skip


def pages_apart(pages, processes):
    """Each page with cells by itself. Those with most come last, and are begun first.

    Sphinx would divide the alphabet: one part would hold most of the cells.
    """

    def cells(page):
        (source,) = (p for p in DOCS.glob(f"{page}.*") if p.suffix in (".md", ".rst"))
        return source.read_text().count("```{code-cell}")

    run = sorted(filter(cells, pages), key=cells)
    others = [page for page in pages if page not in run]
    return [part for part in (others, *([page] for page in run)) if part]


sphinx.builders.make_chunks = pages_apart


# Their cells are many small programs that run once: XLA need not optimise them. What a
# page prints of memory stays the same. Pages that train a ResNet are not among them.
RUN_ONCE = ("choosing", "migration", "own_loss", "own_project", "notebooks/toy_batch")


def compile_quickly(app, page, source):
    """Tells the process of a page's cells, which begins next, how far to optimise."""
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(page in RUN_ONCE))


class LinkNames(SphinxPostTransform):
    """Makes `contrastive_loss`, or `jml.data.decode`, a link to its entry in the API.

    A word alone is linked where it cannot be anything else: with a `_` or capitals.
    """

    default_priority = 500

    def run(self, **_):
        """Goes over the code in the text of one page."""
        domain = self.env.domains.python_domain
        public = {name for name in domain.objects if name.count(".") == 2}
        short = {}
        for name in public:
            word = name.rpartition(".")[2]
            if "_" in word or word[0].isupper():
                short.setdefault(word, []).append(name)
        for node in list(self.document.findall(nodes.literal)):
            text = node.astext().removesuffix("()")
            names = [n for n in (text, f"jml.{text}") if n in domain.objects]
            names = [n for n in names if n.startswith("jml.")] or short.get(text, [])
            if len(names) != 1 or isinstance(node.parent, nodes.reference):
                continue
            entry = domain.objects[names[0]]
            if entry.docname == self.env.docname and entry.objtype == "module":
                continue
            link = make_refnode(
                self.app.builder,
                *(self.env.docname, entry.docname, entry.node_id),
                node.deepcopy(),
                names[0],
            )
            node.replace_self(link)


def setup(app):
    """Adds these to Sphinx."""
    app.connect("autodoc-process-docstring", write_rst, priority=400)
    app.connect("autodoc-process-docstring", describe_field, priority=600)
    app.connect("autodoc-skip-member", skip_values)
    app.connect("source-read", compile_quickly)
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
