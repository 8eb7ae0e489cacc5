"""A fresh clone of the committed tree: what the shipped remote restores, and the page of `dvc plots show` in a real browser."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests import warm
from tests.clone import Workspace, environment
from tests.helpers import ROOT, git

pytestmark = pytest.mark.slow

CHARTS = 5  # likelihoods, bits by region of two benchmarks, ROC curves, loss curves


def dvc(*arguments, cwd, check=True):
    run = subprocess.run(
        [f"{warm.folder()}/python", "-m", "dvc", *arguments], cwd=cwd, env=environment(), capture_output=True, text=True
    )
    if check:
        assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pulled") / "clone"
    git("clone", "-q", str(ROOT), str(folder))
    dvc("pull", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def shown(pulled):
    """What `dvc plots show` prints."""
    return dvc("plots", "show", cwd=pulled)


@pytest.fixture(scope="module")
def page(pulled, shown):
    return pulled / "dvc_plots" / "index.html"


def test_every_plot_is_there_after_a_pull(shown):
    assert "failed to load" not in shown


def test_the_committed_lock_belongs_to_the_committed_code_and_parameters(pulled):
    output = dvc("repro", "--dry", "--allow-missing", cwd=pulled)
    assert "Running stage" not in output, output


def test_pulling_gives_weights_statistics_tables_and_curves_but_no_images(pulled):
    for model in ("vae", "pixelcnn", "glow"):
        assert (pulled / f"data/models/fashion_mnist/{model}/best.safetensors").is_file()
        assert (pulled / f"data/scores/fashion_mnist/in/{model}/test.parquet").is_file()
        assert (pulled / f"metrics/fashion_mnist/train/{model}/plots/metrics/train/bits_per_dim.tsv").is_file()
    assert (pulled / "plots/fashion_mnist/tables/histogram.csv").is_file()
    assert not list((pulled / "data").glob("*/fashion_mnist/in/train.npy"))


def test_the_page_is_utf_8_and_names_no_other_host_to_load_from(page):
    text = page.read_text(encoding="utf-8")
    assert '<meta charset="utf-8">' in text
    assert "−log p" in text
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)  # tags without the code between them
    loaded = re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"']([^\"']+)", markup)
    assert any(source.endswith("likelihoods.png") for source in loaded)
    for source in loaded:
        assert not re.match(r"(https?:)?//", source), source
        assert source.startswith("data:") or (page.parent / source).is_file(), source


def browse(page, folder, *options):
    """Open a page in headless Chromium with these options besides: its DOM, what stood on the console, and which URLs it asked
    for (not the browser)."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: the page was not drawn")
    log = folder / "net.json"
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
         f"--log-net-log={log}", "--virtual-time-budget=20000", "--window-size=1366,768", *options, "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    text = log.read_text(encoding="utf-8", errors="replace").rstrip().rstrip(",")
    events = [event.get("params", {}) for event in json.loads(text if text.endswith("}") else text + "]}")["events"]]
    asked = {event["url"] for event in events if "url" in event and event.get("initiator") not in (None, "not an origin")}
    return run.stdout, console, asked


def test_a_browser_draws_every_chart_without_an_error_or_a_request(page, tmp_path):
    dom, console, asked = browse(page, tmp_path)
    assert dom.count('class="marks"') == CHARTS
    assert "vega-error" not in dom
    assert not console
    assert not asked


def test_a_benchmark_in_force_that_is_listed_too_has_its_pictures_once_and_every_picture_says_whose_it_is(pulled, tmp_path):
    parameters = pulled / "params.yaml"
    text = parameters.read_text()
    parameters.write_text(text.replace("run:\n- fashion_mnist\n", "run:\n- fashion_mnist\n- mnist\n"))
    try:
        dvc("plots", "show", "-o", str(tmp_path / "page"), cwd=pulled)
    finally:
        parameters.write_text(text)
    twice = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert twice.count("plots_mnist_figures_samples.png") == 2
    dom, console, _ = browse(tmp_path / "page" / "index.html", tmp_path)
    assert not console
    for benchmark in ("fashion_mnist", "mnist"):
        for name in ("curves", "likelihoods", "samples"):
            assert dom.count(f"plots_{benchmark}_figures_{name}.png") == 1
            assert dom.count(f">{benchmark}: {name} (workspace)<") == 1
    for title in ("each score of single images with its best model", "every score on every pair of sets"):
        assert dom.count(f">{title} (workspace)<") == 1


STORY = ["likely", "maps", "scores", "samples", "learning"]


def headings(dom):
    return re.findall(r'<h2 id="(\w+)">', dom)


def test_the_page_tells_the_story_in_order_and_leaves_nothing_out(page, tmp_path):
    dom, _, _ = browse(page, tmp_path)
    assert headings(dom) == STORY
    assert re.findall(r'href="#(\w+)"', dom) == STORY
    below = dict(zip(STORY, re.split(r'<h2 id="\w+">', dom)[1:], strict=True))
    assert 'id="How_likely' in below["likely"]
    assert below["likely"].count("_figures_likelihoods.png") == 5
    assert "plots_fashion_mnist_figures_maps.png" in below["maps"]
    places = [below["scores"].index(part) for part in ("plots_scores_overview.png", "plots_scores_scores.png", 'id="Flagging')]
    assert places == sorted(places)
    assert "plots_mnist_residuals_missed.png" in below["scores"]
    assert "_figures_samples.png" in below["samples"]
    assert below["learning"].index('id="Loss_while') < below["learning"].index("_figures_curves.png")


def measured(page):
    """A copy of a page whose title is how wide it is."""
    measure = "<script>document.title = document.documentElement.scrollWidth + ' of ' + window.innerWidth</script></body>"
    copy = page.with_name("measured.html")
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")  # the library in it has another
    copy.write_text(before + measure + after, encoding="utf-8")
    return copy


def fits(dom):
    width, screen = re.search(r"<title>(\d+) of (\d+)</title>", dom).groups()
    return int(width) <= int(screen) == 1366


def test_the_page_fits_a_laptop_s_screen(page, tmp_path):
    assert fits(browse(measured(page), tmp_path)[0])


def test_a_comparison_of_two_commits_shows_what_both_have_and_says_which_is_which(pulled, tmp_path):
    figure, table = "plots/fashion_mnist/figures/likelihoods.png", "metrics/fashion_mnist/maps.csv"
    changed = Workspace(pulled).cloned(tmp_path / "changed")
    dvc("config", "--local", "cache.dir", str(pulled / ".dvc/cache"), cwd=changed.folder)
    shutil.copy(changed.folder / "plots/mnist/figures/likelihoods.png", changed.folder / figure)
    changed.write(table, re.sub(r"[\d.]+$", "0.3", changed.read(table), flags=re.M))  # the share of the bits
    changed.commit()
    dvc("plots", "diff", "HEAD~1", "HEAD", "-o", str(tmp_path / "page"), cwd=changed.folder)
    page = tmp_path / "page" / "index.html"
    dom, console, asked = browse(measured(page), tmp_path)
    assert not console
    assert not asked
    assert dom.count('class="marks"') == CHARTS
    assert headings(dom) == STORY
    assert fits(dom)
    assert dom.count(" (HEAD~1)</p>") == dom.count(" (HEAD)</p>") == dom.partition("<main>")[2].count("<img ") / 2 > 0
    places = {}
    for revision, folder in (("HEAD~1", pulled), ("HEAD", changed.folder)):
        label = rf"<p>fashion_mnist: likelihoods \({revision}\)</p>\s*(?:<p>[^<]*</p>\s*)?"
        (found,) = re.finditer(rf'{label}<img src="([^"]+)"', dom)
        places[revision] = found.start()
        assert (page.parent / found[1]).read_bytes() == (folder / figure).read_bytes()
    assert places["HEAD~1"] < places["HEAD"]
    assert (pulled / figure).read_bytes() != (changed.folder / figure).read_bytes()
    chart = page.read_text(encoding="utf-8").partition('<div id = "On_which_pixels')[2].partition("var spec = ")[2]
    spec, _ = json.JSONDecoder().raw_decode(chart)
    rows = {revision: [row["bits"] for row in spec["data"]["values"] if row["rev"] == revision] for revision in places}
    assert rows["HEAD~1"] == [line.rpartition(",")[2] for line in (pulled / table).read_text().splitlines()[1:]]
    assert rows["HEAD"] == ["0.3"] * len(rows["HEAD~1"])
    assert spec["facet"]["row"]["field"] == "rev"


def test_contact_sheets_are_files_where_their_stage_has_run_and_make_a_page_of_their_own(small, tmp_path):
    sheets = small.folder / "plots/mnist_5k/contact"
    assert sorted(path.name for path in sheets.iterdir()) == ["glow.png", "pixelcnn.png", "vae.png"]
    small.dvc("plots", "show", "-o", str(tmp_path / "page"), "plots/mnist_5k/contact")
    dom, console, _ = browse(tmp_path / "page" / "index.html", tmp_path)
    assert not console
    assert headings(dom) == ["extremes"]
    for model in ("vae", "pixelcnn", "glow"):
        assert f">mnist_5k: {model} (workspace)<" in dom


def test_figures_of_the_claims_stand_below_a_heading_of_their_own(pulled, tmp_path):
    dvc("plots", "show", "-o", str(tmp_path / "page"), "plots/fashion_mnist/claims", cwd=pulled)
    dom, console, _ = browse(tmp_path / "page" / "index.html", tmp_path)
    assert not console
    assert headings(dom) == ["claims"]
    assert ">fashion_mnist: constants (workspace)<" in dom


def test_the_browser_would_tell_of_an_error_and_a_request(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text('<script src="http://127.0.0.1:9/vega.js"></script><script>vegaEmbed("#x", {})</script>')
    _, console, asked = browse(page, tmp_path)
    assert any("vegaEmbed is not defined" in line for line in console)
    assert asked == {"http://127.0.0.1:9/vega.js"}


def test_the_page_holds_its_parts_whole_and_knows_which_figures_are_always_shown():
    text = (ROOT / ".dvc/plots/page.html").read_text()
    for part in ("style.css", "vega.js", "vega-lite.js", "vega-embed.js", "LICENSE"):
        assert (ROOT / "src/likelihood/docs/page" / part).read_text() in text
    assert "[[always" not in text
    (pattern,) = re.findall(r"always = /\^plots_\((.*)\)_figures_/", text)
    entries = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    shown = [entry for entry in entries if isinstance(entry, str) and entry.split("/")[2] == "figures"]
    assert set(pattern.split("|")) == {entry.split("/")[1] for entry in shown}
