"""The report of a detector in a real browser: no error, no request; fits a laptop and a phone, a light and a dark one."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.helpers import digits
from tests.pipeline.test_page import browse


@pytest.fixture(scope="module")
def report(small, tmp_path_factory):
    """Of 67 digits and three pictures of noise, more than are drawn at first."""
    folder = tmp_path_factory.mktemp("report")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number, x in enumerate(digits(small, "test")[:67]):
        Image.fromarray(x).save(pictures / f"digit{number:02d}.png")
    for number, x in enumerate(digits(small, "noise", "out")[:3]):
        Image.fromarray(x).save(pictures / f"noise{number:02d}.png")
    page = folder / "report.html"
    (pictures / ("no_picture_" * 15)).write_text("")
    done = small.likelihood(
        "detect", "--benchmark", "mnist_5k", "--rate", "0.1", "--report", page, "--maps", folder / "maps", pictures
    )
    assert done.returncode == 2, done.stderr
    assert len(list((folder / "maps").glob("*.npy"))) == 70 * 3
    (flagged,) = re.findall(r"^(\d+) of 70 images flagged by .*; 1 skipped$", done.stderr, re.M)
    assert f"<strong>{flagged}</strong> of 70 images flagged" in page.read_text(encoding="utf-8")
    return page


def items_of(dom):
    """The images of the list, as they stand in the page."""
    return re.findall(r"<li\b.*?</li>", dom.partition('id="images"')[2].partition("</ol>")[0], re.S)


def test_the_report_draws_its_images_and_histogram_without_an_error_or_a_request(report, tmp_path):
    dom, console, asked = browse(report, tmp_path)
    assert not console
    assert not asked
    assert dom.count('class="marks"') == 1
    items = items_of(dom)
    assert len(items) == 60, "as many as are drawn at first"
    assert all('class="map"' in item for item in items)
    assert ["noise" in item for item in items] == [True] * 3 + [False] * 57, "the odd ones come first, though they were read last"
    flagged = ["flagged, p" in item for item in items]
    assert flagged == sorted(flagged, reverse=True)
    assert f"<strong>{sum(flagged)}</strong> of 70 images flagged" in dom
    assert 3 <= sum(flagged) < 60
    assert "70 of 70 listed images" in dom


def test_the_list_grows_as_the_reader_comes_to_its_end(report, tmp_path):
    before, _, after = report.read_text(encoding="utf-8").rpartition("</body>")
    page = tmp_path / "scrolled.html"
    page.write_text(f"{before}<script>more();</script></body>{after}", encoding="utf-8")  # as the observer of the end does
    assert len(items_of(browse(page, tmp_path)[0])) == 70


@pytest.mark.parametrize("width", [390, 1366])
@pytest.mark.parametrize(("scheme", "paper", "ink"), [(0, "rgb(23, 24, 27)", "#ececef"), (1, "rgb(255, 255, 255)", "#1d1d1f")])
def test_the_report_fits_the_screen_and_is_dark_where_the_reader_s_other_pages_are(report, tmp_path, width, scheme, paper, ink):
    """In a frame of that width, for a window of the browser is no narrower than 500. Of its colour schemes 0 is dark, 1 light."""
    measure = """<script>setTimeout(() => {
    const texts = [...document.querySelectorAll("#histogram svg text")].map((text) => text.getAttribute("fill"));
    const colours = [getComputedStyle(document.body).backgroundColor, [...new Set(texts)].join()];
    parent.postMessage([document.documentElement.scrollWidth, window.innerWidth, ...colours].join("; "), "*");
    }, 5000)</script></body>"""
    before, _, after = report.read_text(encoding="utf-8").rpartition("</body>")
    (tmp_path / "measured.html").write_text(before + measure + after, encoding="utf-8")
    frame = f'''<iframe width="{width}" height="700" src="measured.html"></iframe>
    <script>onmessage = (event) => {{ document.title = event.data; }}</script>'''
    (tmp_path / "frame.html").write_text(f"<title></title>{frame}")
    dom, console, _ = browse(tmp_path / "frame.html", tmp_path, f"--blink-settings=preferredColorScheme={scheme}")
    assert not console
    found, screen, *colours = re.search(r"<title>(.+?)</title>", dom)[1].split("; ")
    assert int(found) <= int(screen) <= width
    assert colours == [paper, ink]


def test_the_maps_of_the_odd_ones_show_why(report):
    """Their pixels were less expected than those of any other picture."""
    nats = {model: {True: [], False: []} for model in ("vae", "pixelcnn", "glow")}
    for file in (report.parent / "maps").glob("*.npy"):
        nats[file.stem.rpartition(".")[2]]["noise" in file.name].append(-np.load(file, allow_pickle=False).mean())
    for found in nats.values():
        assert min(found[True]) > max(found[False])


def test_what_the_form_asks_for_is_shown(report, tmp_path):
    act = """<script>
    form.elements.sort.value = "name";
    form.elements.flagged.click();
    document.querySelector("[name=map][value='']").click();
    const reached = (control) => { control.focus(); return document.activeElement === control && control.tabIndex === 0; };
    document.title = [...document.querySelectorAll("a, button, input, select")].map(reached).join();
    </script></body>"""
    before, _, after = report.read_text(encoding="utf-8").rpartition("</body>")
    (tmp_path / "acted.html").write_text(before + act + after, encoding="utf-8")
    dom, console, _ = browse(tmp_path / "acted.html", tmp_path)
    assert not console
    items = items_of(dom)
    assert items
    assert all("flagged, p" in item and 'class="map"' in item and "hidden" in item for item in items)
    assert set(re.search(r"<title>(.*?)</title>", dom)[1].split(",")) == {"true"}, "the keyboard reaches every control"
    names = [re.search(r"(?:digit|noise)\d\d", item)[0] for item in items]
    assert names == sorted(names)
