"""The page in a real browser: every part is used, and the console stays empty."""

import os
import shutil

import numpy as np
import pytest

from jml.report import Picture, PictureRow, write_picture_page

from .page import data_of
from .small import NASTY, items, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without a sandbox for root, and without calls of its own to the network.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync"]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="needs Chromium"
)


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser):
    """Opens a page; at the end nothing may have gone to the console."""
    messages, contexts = [], []

    def open_page(path, width=1280, height=900, ready="#rows li", **options):
        size = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:"))
                or messages.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_selector(ready)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


@pytest.mark.slow
def test_a_visitor_uses_everything_on_the_page_of_the_report(visit, report):
    page = visit(report)
    assert page.title() == page.locator("h1").inner_text() == NASTY
    assert page.locator(".card").count() == 10
    assert page.locator("#loss path.curve").count() == 1
    page.locator("#cmc svg").hover()
    assert page.locator("#cmc .readout").inner_text().startswith("k ")
    for curve in ("roc", "det"):
        page.locator(f"#{curve} svg").hover()
        assert page.locator(f"#{curve} .readout").inner_text().startswith("FAR 0.")
    rows = page.locator("#verification tbody tr").all_inner_texts()
    points = data_of(report)["verification"]["points"]
    shown = [(float(row.split()[0]), float(row.split()[2])) for row in rows]
    assert shown == [
        (far, pytest.approx(100 * tar, abs=0.051)) for far, _, tar in points
    ]
    assert len(shown) == 3
    assert "0.01" in page.locator("#roc svg text").all_text_contents()
    assert (
        "All pairs of 90 items of 6 classes"
        in page.locator("#verification").inner_text()
    )

    assert page.locator("#rows li").count() == 20
    page.locator("#more").click()
    assert page.locator("#rows li").count() == 40
    worst = page.locator("#rows .words").first.inner_text()
    page.locator("#order").select_option("best")
    assert page.locator("#rows .words").first.inner_text() != worst
    page.locator("#class").fill("crane")
    assert page.locator("#count").inner_text() == "15 of 90 queries"
    assert set(page.locator("#rows b").all_inner_texts()) == {"crane"}
    page.locator("#class").fill("")
    page.locator("#wrong").check()
    for row in page.locator("#rows li").all():
        assert "wrong" in row.locator(".item").first.get_attribute("class")
    page.locator("#wrong").uncheck()

    page.locator("#classes th button").first.click()
    page.locator("#classes td button", has_text="onerror").click()
    assert page.locator("#class").input_value() == NASTY
    assert set(page.locator("#rows b").all_inner_texts()) == {NASTY}
    page.locator("#confusions button").first.click()
    assert page.locator("#rows li").count() == 15
    doubtful = page.locator("#suspicious li")
    assert doubtful.count() == 20
    same, other = doubtful.first.locator(".words div").all_inner_texts()[1:]
    assert same.startswith("1 of 10 nearest")
    assert other.split()[1:2] == ["are"]
    assert doubtful.first.locator(".item.wrong").count() == 9
    assert "python again.py" in page.locator("#reproduce").inner_text()


def test_marks_and_images_of_the_page_are_those_of_the_data(visit, report):
    page = visit(report)
    page.locator("#class").fill("wren")
    item = page.locator("#rows .item.right .thumb").first
    item.scroll_into_view_if_needed()
    assert item.get_attribute("aria-label") == "wren"
    assert page.locator("#rows .item.wrong [aria-label=wren]").count() == 0
    query = items(90, 6)
    expected = query.images[query.labels == 4][0, 0, 0]
    shot = item.screenshot()
    assert np.abs(middle_pixel(shot) - expected.astype(int)).max() <= 12  # WebP


def drawing(page):
    """The map's own pixels, once it is drawn: not the buttons that lie above it."""
    frame = "requestAnimationFrame"
    page.evaluate(f"() => new Promise(done => {frame}(() => {frame}(done)))")
    return page.locator("canvas").evaluate("canvas => canvas.toDataURL()")


def middle_pixel(png):
    import io

    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]


def test_the_map_of_the_page_zooms_moves_and_names_points(visit, report):
    page = visit(report)
    canvas, tip = page.locator("canvas"), page.locator(".tip")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    whole = drawing(page)

    def find():
        for step in range(1, 400):
            x = box["x"] + box["width"] * (0.3 + 0.4 * (step * 0.618 % 1))
            page.mouse.move(x, box["y"] + box["height"] * step / 400)
            if tip.is_visible():
                return tip.inner_text()

    assert "first neighbour" in find()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    zoomed = drawing(page)
    assert zoomed != whole
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 100, steps=3)
    page.mouse.up()
    assert drawing(page) != zoomed
    page.locator("[data-zoom=reset]").click()
    page.mouse.move(5, 5)
    for _ in range(100):  # until the page has seen the pointer leave: 10 s at most
        if drawing(page) == whole:
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("the map does not come back")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_fits_light_dark_wide_and_narrow_windows(visit, report, scheme, width):
    page = visit(report, width=width, color_scheme=scheme)
    read = "getComputedStyle(document.body).backgroundColor"
    dark = "rgb(18, 22, 28)"
    assert (page.evaluate(read) == dark) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#theme").click()
    assert (page.evaluate(read) == dark) == (scheme == "light")


def tick_labels(page, points):
    """What a chart of these points has on its axes, drawn by the page's own script."""
    draw = """points => {
      const figure = document.createElement("figure");
      lineChart(figure, points, { caption: "", x: "step", lines: [["pixels", 0.1]] });
      return [...figure.querySelectorAll("text")].map((text) => text.textContent);
    }"""
    return page.evaluate(draw, points)


def test_training_curves_have_ticks_at_whole_steps_from_0(visit, report):
    page = visit(report)
    ticks = page.locator("#recall text[text-anchor=middle]").all_text_contents()
    assert ticks == ["0", "5", "10", "15", "20", "25", "30", "step"]
    values = ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    for steps in (1, 2, 3, 5):
        whole = [str(step) for step in range(steps + 1)]
        labels = tick_labels(page, [[0, 0], [steps, 0.5]])
        assert labels == [*values, *whole, "step"]
    assert tick_labels(page, [[1, 0], [2, 0.5]]) == [*values, "1", "2", "step"]
    caption = page.locator("#recall figcaption").text_content()
    assert caption == "Recall@1 on the test images; dashed: raw pixels 20.0%"


@pytest.mark.parametrize("width", [390, 320])
def test_the_menu_of_the_page_is_whole_and_leads_below_itself(visit, report, width):
    page = visit(report, width=width)
    links = page.locator("nav a")
    assert links.count() == 10
    for link in links.all():
        box = link.bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= width
    for name in ("Map", "Training"):
        links.filter(has_text=name).click()
        menu = page.locator("nav").bounding_box()
        assert menu["y"] == 0 and menu["height"] < 95
        heading = page.locator(f"#{name.lower()} h2").bounding_box()
        below = heading["y"] - menu["height"]
        assert 0 <= below < 45


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_the_page_of_a_report_without_images_and_training(visit, tmp_path):
    path = write(tmp_path, items(9, 3, images=False), items(7, 3, seed=1))
    page = visit(path)
    assert not page.locator("#training").is_visible()
    assert page.locator("#rows .thumb.word").first.inner_text() in {"0", "1", "2"}


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_the_page_of_6000_images_stays_small(visit, tmp_path):
    rng = np.random.default_rng(0)
    query = items(6000, 100)
    query = query._replace(images=rng.integers(0, 256, (6000, 64, 64, 3), np.uint8))
    path = write(tmp_path, query)
    assert path.stat().st_size < 15e6
    page = visit(path)
    assert page.locator("#count").inner_text() == "6,000 of 6,000 queries"


@pytest.mark.slow
def test_a_page_of_pictures_is_whole_on_wide_and_narrow_screens(visit, tmp_path):
    red = np.full((30, 40, 3), (200, 10, 10), np.uint8)
    path = f"{'a folder with a long name/' * 9}{NASTY}{'x' * 200}"
    pictures = [Picture(red, [path, "distance 0"], lead=True), Picture(None, [path])]
    row = PictureRow(path, pictures * 8)
    write_picture_page(tmp_path / "page.html", path, [row], facts=[path])
    for width, scheme, paper in ((1280, "light", 255), (340, "dark", 18)):
        page = visit(
            tmp_path / "page.html", width, ready=".picture", color_scheme=scheme
        )
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.title() == page.locator("h1").inner_text() == path
        assert page.locator("figure").count() == 16
        for image in page.locator("img").all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("image => image.decode().then(() => 40)") == 40
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour.startswith(f"rgb({paper}, ")
