"""Opens every page of the built site in headless Chromium.

    python docs/look.py [docs/_build/html] [--screenshots FOLDER] [--only PART]

It opens each page at 1,280 and at 390 pixels, in light and in dark. It fails where a
page writes an error to the console, asks for anything outside the site, scrolls
sideways, or has a formula that was not drawn.
"""

import argparse
import itertools
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Page, sync_playwright

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
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
    views = list(itertools.product(WIDTHS, SCHEMES))
    look_so = partial(look_at_all, site, paths, options.screenshots)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as processes:
        problems = set().union(*processes.map(look_so, *zip(*views, strict=True)))
    print(
        "\n".join([*sorted(problems), f"{len(paths)} pages: {len(problems)} problems"])
    )
    return bool(problems)


def look_at_all(
    site: Path, paths: list[Path], screenshots: Path | None, width: int, scheme: str
) -> set[str]:
    """Opens all pages at one width, in a browser of its own; returns what is wrong."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    problems: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        for path in paths:
            name = path.relative_to(site).with_suffix("")
            found = look(page := context.new_page(), path, site, scheme)
            problems |= {f"{name} at {width} px, {scheme}: {p}" for p in found}
            if screenshots:
                file = f"{name}-{width}-{scheme}.png".replace("/", "-")
                page.screenshot(path=screenshots / file, full_page=True)
            page.close()
        browser.close()
    return problems


def look(page: Page, path: Path, site: Path, scheme: str) -> list[str]:
    """Opens one page; returns what is wrong with it."""
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
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax?.startup?.promise?.then(() => null)")
    if (theme := page.evaluate("document.documentElement.dataset.theme")) != scheme:
        problems.append(f"is shown in {theme}")
    problems += [f"is wider than the window, {e}" for e in page.evaluate(WIDER)]
    problems += [f"formula not drawn: {e}" for e in page.evaluate(UNDRAWN)]
    return problems


if __name__ == "__main__":
    sys.exit(main())
