"""The report: the most outlying first, whole or not at all, safe whatever a file is called, and no larger than it may be."""

import base64
import contextlib
import io
import json
import re
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from likelihood.common.errors import InputError
from likelihood.detection import report
from likelihood.detection.decisions import Fdr, Group, Rate
from likelihood.detection.verdicts import Batch, Maps
from tests.helpers import files

SHAPE = (1, 6, 5)
SCORE = "all.code_kde"
rng = np.random.default_rng(0)


def batch(p, names=None, shape=SHAPE, scores=None):
    """Images of these p."""
    n = len(p)
    columns = {"image": names or [f"{k}.png" for k in range(n)], "flagged": [each <= 0.05 for each in p]}
    columns |= {
        "vae.bits_per_dim": np.linspace(1, 2, n),
        "pixelcnn.bits_per_dim": np.linspace(3, 4, n),
        f"{SCORE}.p": p,
        SCORE: scores or [0.0] * n,
    }
    x = rng.integers(0, 256, (n, *shape), dtype=np.uint8)

    def maps(rows):
        return {
            model: np.full((len(rows), *shape[1:]), -8 * np.log(2) * value) for model, value in (("vae", 1), ("pixelcnn", 0.5))
        }

    return Batch(pd.DataFrame(columns), SCORE, x, maps)


def written(path, batches):
    """The page of these batches: its text, and the data in it."""
    with report.Report(path) as page:
        for each in batches:
            page.add(each)
        page.describe("fashion_mnist", Rate(0.05), [], [])
    text = path.read_text(encoding="utf-8")
    return text, json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_the_most_outlying_come_first_and_every_image_counts(tmp_path):
    text, data = written(tmp_path / "r.html", [batch([0.5, 0.01, 0.9]), batch([0.02, 1.0])])
    assert [entry["p"] for entry in data["images"]] == [0.01, 0.02, 0.5, 0.9, 1.0]
    assert [entry["flagged"] for entry in data["images"]] == [True, True, False, False, False]
    assert sum(each["images"] for each in data["bins"]) == 5
    assert data["bins"][0]["images"] == 2
    assert "<strong>2</strong> of 5 images flagged" in text
    assert data["folder"] == ""


def test_an_image_that_is_flagged_stands_left_of_the_rate_in_the_histogram(tmp_path):
    _, data = written(tmp_path / "r.html", [batch([0.05, 0.0500001, 1.0, 0.001])])
    assert [each["images"] for each in data["bins"]] == [2, 1, *[0] * 17, 1]


def test_a_folder_that_all_images_are_in_is_said_once(tmp_path):
    _, data = written(tmp_path / "r.html", [batch([0.1, 0.2], ["a/b/1.png", "a/b/2.png"])])
    assert data["folder"] == "a/b/"
    _, data = written(tmp_path / "s.html", [batch([0.1, 0.2], ["a/1.png", "b/1.png"])])
    assert data["folder"] == ""


def test_a_likelihood_that_is_not_finite_leaves_the_page_readable(tmp_path):
    each = batch([0.1])
    each.table["vae.bits_per_dim"] = np.inf
    _, data = written(tmp_path / "r.html", [each._replace(maps=lambda rows: {"vae": np.full((1, 6, 5), np.nan)})])
    assert data["images"][0]["bits"]["vae"] is None


def test_the_scale_of_binarised_images_ends_at_one_bit(tmp_path):
    each = batch([0.1])
    table = each.table.rename(columns={"vae.bits_per_dim": "vae.binary_bits_per_dim"})
    one = np.full((1, 6, 5), -0.5 * np.log(2))
    text, data = written(tmp_path / "r.html", [each._replace(table=table, maps=lambda rows: {"vae": one})])
    assert '"blind": 1.0' in text
    level = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["images"][0]["maps"]["vae"])), formats=["PNG"]))
    assert (level == 128).all()
    assert files(tmp_path) == ["r.html"]


def test_of_images_with_the_same_p_the_one_with_the_higher_score_comes_first(tmp_path):
    _, data = written(tmp_path / "r.html", [batch([0.1, 0.1, 0.1, 0.2], list("abcd"), scores=[1.0, 3.0, 2.0, 9.0])])
    assert [entry["name"] for entry in data["images"]] == ["b", "c", "a", "d"]


@pytest.mark.parametrize("shape", [(1, 6, 5), (3, 6, 5)])
def test_an_entry_has_the_picture_itself_and_maps_on_one_scale(tmp_path, shape):
    each = batch([0.3], shape=shape)
    _, data = written(tmp_path / "r.html", [each])
    (entry,) = data["images"]

    def picture(text):
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"]))

    seen = picture(entry["image"])
    np.testing.assert_array_equal(
        seen if shape[0] == 1 else seen.transpose(2, 0, 1), each.pixels[0, 0] if shape[0] == 1 else each.pixels[0]
    )
    levels = {model: set(picture(found).ravel().tolist()) for model, found in entry["maps"].items()}
    assert levels == ({"vae": {255}, "pixelcnn": {128}} if shape[0] == 1 else {"vae": {85}, "pixelcnn": {43}})
    assert entry["bits"] == {"vae": 1.0, "pixelcnn": 3.0}


def test_more_images_than_fit_are_cut_to_the_most_outlying_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST", 4)
    p = rng.permutation(np.arange(1, 31) / 31)
    text, data = written(tmp_path / "r.html", [batch(list(p[k : k + 10])) for k in range(0, 30, 10)])
    assert [entry["p"] for entry in data["images"]] == pytest.approx([k / 31 for k in range(1, 5)], abs=1e-5)
    assert sum(each["images"] for each in data["bins"]) == 30
    assert "The list has the 4 most outlying images; the counts are of all." in text
    monkeypatch.setattr(report, "MOST", 2000)
    monkeypatch.setattr(report, "BYTES", 3000)
    text, data = written(tmp_path / "s.html", [batch(list(p[k : k + 10])) for k in range(0, 30, 10)])
    assert 1 < len(data["images"]) < 30
    assert data["images"][0]["p"] == pytest.approx(1 / 31, abs=1e-5)


def test_the_size_of_the_page_counts_names_as_they_are_written(tmp_path, monkeypatch):
    """A letter of a name may take twelve bytes of JSON, and a name more of them than a small picture."""
    monkeypatch.setattr(report, "BYTES", 60_000)
    p = rng.permutation(np.arange(1, 121) / 121)
    names = [f"{'Größe 寸法 😀 ' * 15}{k}.png" for k in range(120)]
    text, data = written(tmp_path / "r.html", [batch(list(p[k : k + 40]), names[k : k + 40]) for k in range(0, 120, 40)])
    longest = max(len(json.dumps(entry)) for entry in data["images"])
    assert longest > 1000
    size = len(re.search(r'id="data">(.*?)</script>', text, re.S)[1].encode())
    assert 0.8 * 60_000 < size < 60_000 + longest
    listed = [entry["p"] for entry in data["images"]]
    assert listed == pytest.approx(np.arange(1, len(listed) + 1) / 121, abs=1e-5)
    assert [entry["name"] for entry in data["images"]] == [names[k] for k in np.argsort(p)[: len(listed)]]


@pytest.mark.slow
@pytest.mark.parametrize("shape", [SHAPE, (3, 32, 32)])
def test_of_2500_images_the_2000_most_outlying_are_listed(tmp_path, shape):
    """Below 40 MB, though pictures and maps are noise here, which no PNG makes smaller."""

    def noise(rows):
        return {model: -8 * np.log(2) * rng.random((len(rows), *shape[1:])) for model in ("vae", "pixelcnn", "glow")}

    p = rng.permutation(np.arange(1, 2501) / 2501)
    batches = [batch(list(p[k : k + 500]), shape=shape)._replace(maps=noise) for k in range(0, 2500, 500)]
    for each in batches:
        each.table["glow.bits_per_dim"] = 3.0
    text, data = written(tmp_path / "r.html", batches)
    assert [entry["p"] for entry in data["images"]] == pytest.approx(np.arange(1, 2001) / 2501, abs=1e-5)
    assert "The list has the 2,000 most outlying images; the counts are of all." in text
    assert f"of {sum(each['images'] for each in data['bins']):,} images flagged" in text
    assert sum(each["images"] for each in data["bins"]) == 2500
    assert (tmp_path / "r.html").stat().st_size < 40e6


def test_the_page_says_how_images_were_flagged(tmp_path):
    decisions = {
        "r": (Rate(0.05), 0.05, "this share of images like"),
        "g": (Group(2, 0.1, np.zeros(3)), None, "this share of groups of 2 images"),
    }
    fdr = Fdr(0.1)
    fdr.limit = 0.012
    for name, (decision, limit, meaning) in {
        **decisions,
        "f": (fdr, 0.012, "on average, at most this share of the flagged images"),
    }.items():
        with report.Report(tmp_path / f"{name}.html") as page:
            page.add(batch([0.01, 0.5]))
            page.describe("fashion_mnist", decision, [], [])
        text = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert meaning in text
        assert json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])["limit"] == limit
        assert ("A group of images is flagged when" in text) == (name == "g") != ("An image is flagged when" in text)


def test_the_page_says_of_which_group_an_image_is_and_the_p_of_that(tmp_path):
    flagging = Group(2, 0.3, np.zeros(9))
    with report.Report(tmp_path / "r.html") as page:
        images = batch([0.01, 0.5, 0.9, 1.0], scores=[3.0, 2.0, -1.0, -1.0])
        del images.table["flagged"]
        for each in flagging([images]):
            page.add(each)
        page.describe("fashion_mnist", flagging, [], [])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    entries = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])["images"]
    assert [(entry["name"], entry["group"], entry["group_p"], entry["flagged"]) for entry in entries] == [
        ("0.png", 0, round(1 / 55, 5), True),
        ("1.png", 0, round(1 / 55, 5), True),
        ("2.png", 1, 1.0, False),
        ("3.png", 1, 1.0, False),
    ]


def test_a_name_is_text_whatever_it_holds(tmp_path):
    name = "</script><img src=x onerror=alert(1)>\"'&.png"
    text, data = written(tmp_path / "r.html", [batch([0.01], [name])])
    assert data["images"][0]["name"] == name
    assert "<img src=x" not in text


def test_everything_that_answers_to_the_mouse_is_a_labelled_control_that_the_keyboard_reaches(tmp_path):
    text, _ = written(tmp_path / "r.html", [batch([0.5])])
    page = text.partition("<script")[0]
    labelled = "".join(re.findall(r"<label>.*?</label>", page, re.S))
    for control in ("select", "input"):
        assert page.count(f"<{control} ") == labelled.count(f"<{control} ") > 0
    assert not re.search(r"tabindex|disabled|\son\w+=", page)
    script = (Path(report.__file__).parent / "report_page/report.js").read_text(encoding="utf-8")
    assert set(re.findall(r'addEventListener\("(\w+)"', script)) <= {"submit", "input", "change"}
    assert not re.search(r"\.on\w+ *=", script)


def contrast(one, other):
    """Of two colours like #a3330b, from 1 to 21, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    lights = []
    for colour in (one, other):
        parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        lights.append(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_background_by_as_much_as_reading_needs(theme):
    style = (Path(report.__file__).parent / "report_page/report.css").read_text(encoding="utf-8")
    blocks = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root {(.*?)}", style)]
    colours = dict(zip(("light", "dark"), blocks, strict=True))[theme]
    texts = set(re.findall(r"[ ;{]color: var\(--(\w+)\)", style)) | {"accent"}
    assert texts == {"ink", "soft", "flag", "accent"}
    assert set(re.findall(r"[ ;{]color: (?!var)([^;]+)", style)) <= {"inherit"}
    assert set(re.findall(r"background: var\(--(\w+)\)", style)) == {"paper", "card"}
    for text in texts:
        for background in ("paper", "card"):
            assert contrast(colours[text], colours[background]) >= 4.5, (text, background)


def test_the_contrast_of_two_colours_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)  # the lightest grey that passes
    assert contrast("#0000ff", "#ffffff") == pytest.approx(8.59, abs=0.01)


def test_nothing_that_can_be_read_is_one_sentence_and_no_file(tmp_path):
    nothing = "none of the files is an image that can be read: there is nothing to report (a.png is damaged)"
    with pytest.raises(InputError, match=re.escape(nothing)), report.Report(tmp_path / "r.html") as page:
        page.describe("fashion_mnist", Rate(0.05), ["a.png is damaged"], [])
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"), [("r.htm", "r.htm must end in .html"), ("no/r.html", "no is not a folder: make it first")]
)
def test_a_place_for_a_report_that_will_not_do_is_refused(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        report.Report(tmp_path / name)


def test_a_folder_of_maps_has_an_array_and_a_picture_for_every_image_and_model(tmp_path):
    with Maps(tmp_path / "maps") as maps:
        maps.add(batch([0.1, 0.2], ["a/b/sh irt.png", "x" * 300]))
        maps.add(batch([0.3], ["two.tiff[1]"]))
        assert not (tmp_path / "maps").exists()
    found = files(tmp_path / "maps")
    assert found[:4] == [f"00000_sh_irt.png.{model}.{kind}" for model in ("pixelcnn", "vae") for kind in ("npy", "png")]
    assert len(found) == 12
    assert any(name.startswith("00002_two.tiff_1_.vae") for name in found)
    nats = np.load(tmp_path / "maps/00000_sh_irt.png.vae.npy")
    assert nats.dtype == np.float32
    np.testing.assert_allclose(nats.sum(), -8 * np.log(2) * 30, rtol=1e-6)
    assert np.asarray(Image.open(tmp_path / "maps/00000_sh_irt.png.vae.png", formats=["PNG"])).min() == 255


def test_maps_that_a_limit_cuts_short_are_no_folder(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with (
            pytest.raises(InputError, match=r"maps cannot be written \(File too large\): change that"),
            Maps(tmp_path / "maps") as maps,
        ):
            maps.add(batch([0.1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == []


def test_maps_never_take_the_place_of_anything(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old/kept.txt").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for name, message in (
        ("old", "old is not empty: name a new folder"),
        ("file", "file is no folder"),
        ("no/maps", "is not a folder: make"),
        ("x" * 300, r"cannot be written \(File name too long\): change that, or name another folder"),
    ):
        with pytest.raises(InputError, match=message):
            Maps(tmp_path / name)
    with contextlib.suppress(ZeroDivisionError), Maps(tmp_path / "maps") as maps:
        maps.add(batch([0.1]))
        raise ZeroDivisionError
    with Maps(tmp_path / "maps"):
        pass
    assert files(tmp_path) == ["file", "old/kept.txt"]
    assert not (tmp_path / "maps").exists(), "no image, no folder"
    for name in (".", "/", ""):
        with pytest.raises(InputError, match="is not empty: name a new folder"):
            Maps(Path(name))


def test_the_map_of_the_exact_model_is_shown_first(tmp_path):
    text, _ = written(tmp_path / "r.html", [batch([0.5])])
    assert re.findall(r'name="map" value="(\w*)" checked', text) == ["pixelcnn"]
