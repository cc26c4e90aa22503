"""Opens every page of the built site in headless Chromium.

    python docs/look.py [docs/_build/html] [--screenshots FOLDER] [--only PART]

It loads each page at 1,280 and at 390 pixels, once in light and once in dark, looks at
it, and again after the scheme has changed. It fails where a page writes an error to the
console, asks for anything outside the site, scrolls sideways, has a formula that was
not drawn, or is not shown in the system's scheme.
"""

import argparse
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Page, TimeoutError, sync_playwright

# Widths, and the first page's schemes. The next page begins with the second scheme, and
# so on: each is loaded in both schemes, and changes from each to the other.
VIEWS = ((1280, ("light", "dark")), (390, ("dark", "light")))
# Without a sandbox for root, and without calls of its own to the network.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync"]
# What stands out at the right of the page, and formulas that are not drawn.
WIDER = """() => {
  const page = document.scrollingElement;
  if (page.scrollWidth <= page.clientWidth) return [];
  // What scrolls by itself may hold what is wider.
  const scrolls = e => e && (getComputedStyle(e).overflowX !== "visible"
    || scrolls(e.parentElement.closest("article *")));
  const wide = [...document.querySelectorAll("article *")].filter(
    e => e.getBoundingClientRect().right > page.clientWidth + 1
      && !scrolls(e.parentElement.closest("article *")));
  return [`${page.scrollWidth} px: ` + wide.slice(0, 3).map(
    e => e.outerHTML.slice(0, 120)).join(" | ")];
}"""
UNDRAWN = """() => [...document.querySelectorAll("span.math, div.math")].filter(
  e => !e.querySelector("mjx-container svg")
    || e.querySelector("[data-mml-node=merror]")
).map(e => e.textContent.slice(0, 80))"""
SHOWN = "scheme => document.documentElement.dataset.theme === scheme"


def main() -> int:
    """Looks at all pages, prints what is wrong, and returns 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    built = Path(__file__).parent / "_build" / "html"
    parser.add_argument("site", type=Path, nargs="?", default=built)
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER")
    parser.add_argument("--only", default="", help="part of the path of the pages")
    options = parser.parse_args()
    site = options.site.resolve()
    paths = [p for p in sorted(site.rglob("*.html")) if "_static" not in p.parts]
    paths = [p for p in paths if options.only in str(p.relative_to(site))]
    if not paths:
        print(f"no pages in {site}")
        return 1
    look_so = partial(look_at_all, site, paths, options.screenshots)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as processes:
        problems = set().union(*processes.map(look_so, *zip(*VIEWS, strict=True)))
    print(
        "\n".join([*sorted(problems), f"{len(paths)} pages: {len(problems)} problems"])
    )
    return bool(problems)


def look_at_all(
    site: Path,
    paths: list[Path],
    screenshots: Path | None,
    width: int,
    schemes: tuple[str, str],
) -> set[str]:
    """Opens all pages at one width, in a browser of its own; returns what is wrong."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    problems: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": 900})
        found = watch(page, site)  # one page, which keeps the compiled scripts
        for path in paths:
            name = path.relative_to(site).with_suffix("")
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                if scheme == schemes[0]:
                    page.goto(path.as_uri())
                found += look(page, scheme)
                problems |= {f"{name} at {width} px, {scheme}: {p}" for p in found}
                found.clear()
                if screenshots:
                    file = f"{name}-{width}-{scheme}.png".replace("/", "-")
                    page.screenshot(path=screenshots / file, full_page=True)
            schemes = schemes[::-1]
        browser.close()
    return problems


def watch(page: Page, site: Path) -> list[str]:
    """A list to which is added what goes wrong in a page from now on."""
    problems: list[str] = []

    def check_request(request):
        url = urlsplit(request.url)
        file = Path(unquote(url.path))
        inside = url.scheme == "file" and file.is_relative_to(site) and file.exists()
        if not inside and url.scheme not in ("data", "blob"):
            problems.append(f"asks for {request.url}")

    page.on("request", check_request)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: m.type == "error" and problems.append(m.text))
    return problems


def look(page: Page, scheme: str) -> list[str]:
    """What is wrong with a page as it is shown now."""
    problems = []
    page.evaluate("() => window.MathJax?.startup?.promise?.then(() => null)")
    try:  # a page hears of a change when it is drawn next
        page.wait_for_function(SHOWN, arg=scheme, timeout=5_000)
    except TimeoutError:
        theme = page.evaluate("document.documentElement.dataset.theme")
        problems.append(f"is shown in {theme}")
    problems += [f"is wider than the window, {e}" for e in page.evaluate(WIDER)]
    problems += [f"formula not drawn: {e}" for e in page.evaluate(UNDRAWN)]
    return problems


if __name__ == "__main__":
    sys.exit(main())
