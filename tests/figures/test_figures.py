"""The figures and the stage `plot`: what is drawn is what the tables hold, labelled; the same bytes every time."""

import sys

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text

import plot
from likelihood.common import images
from likelihood.evaluation import results
from likelihood.figures import benchmark as figures
from likelihood.figures.maps import Maps, Model, maps, sum_of
from likelihood.figures.titles import model_title

MODELS, OUTS, BINS = ("vae", "pixelcnn", "glow"), ["mnist_5k", "noise"], 40
AUROC = {"mnist_5k": 0.0543, "noise": 1.0}
EPOCH_IMAGES = dict.fromkeys(MODELS, 500)


def likelihoods(models=MODELS, unit="bits_per_dim", scale=1.0):
    """In-set about 3 bits/dim, digits lower, noise at 9.5: beyond the axis."""
    rng, rows = np.random.RandomState(0), []
    for model in models:
        for name, mean, n in (("train", 3.2, 300), ("test", 3.2, 200), ("mnist_5k", 1.8, 150), ("noise", 9.5, 100)):
            rows.append(results.likelihood_rows(model, unit, name, np.arange(n), scale * rng.normal(mean, 0.3, n)))
    return pd.concat(rows, ignore_index=True)


def curves():
    values = {"epoch": [1, 2, 3], "images": [500, 1000, 1500], "train": [4.0, 3.5, 3.2], "validation": [3.8, 3.4, 3.3]}
    return {model: pd.DataFrame(values).assign(unit="bits_per_dim") for model in MODELS}


def histograms(table):
    models = table["model"].unique()
    return figures.likelihood_histograms(table, "fashion_mnist", OUTS, dict.fromkeys(models, AUROC), BINS)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_panel_a_model_names_every_set_with_its_count_and_auroc():
    figure = histograms(likelihoods())
    assert [ax.get_title() for ax in figure.axes] == ["VAE", "Gated PixelCNN", "Glow"]
    for ax in figure.axes:
        assert ax.get_xlabel().startswith("bits/dim")
        assert legend(ax)[:3] == ["Fashion-MNIST train (300)", "Fashion-MNIST test (200)", "MNIST (5k) (150), AUROC 0.054"]
        assert legend(ax)[3].startswith("uniform noise (100), AUROC 1.000")


def test_histograms_have_the_area_of_the_images_on_the_axis():
    table = likelihoods(["glow"])
    table.loc[(table["set"] == "mnist_5k") & (table["index"] < 60), "value"] = 50.0  # two in five lie beyond the axis
    (ax,) = histograms(table).axes
    filled = [patch for patch in ax.patches if isinstance(patch, StepPatch) and patch.get_fill()]
    assert len(filled) == 3  # noise is beyond the axis
    for patch, name in zip(filled, ("train", "test", "mnist_5k"), strict=True):
        density, edges, _ = patch.get_data()
        values = table.loc[table["set"] == name, "value"]
        assert len(density) == BINS
        assert (density * np.diff(edges)).sum() == pytest.approx(values.between(*ax.get_xlim()).mean())


def test_a_set_beyond_the_axis_is_named_with_its_mean():
    table = likelihoods(["glow"])
    (ax,) = histograms(table).axes
    mean = table.loc[table["set"] == "noise", "value"].mean()
    assert ax.get_xlim()[1] < mean
    assert [text.partition(", mean ")[2] for text in legend(ax)] == ["", "", "", f"{mean:.1f} →"]


def test_a_few_images_all_alike_do_not_flatten_the_other_histograms():
    table = likelihoods(["glow"])
    table.loc[table["set"] == "mnist_5k", "value"] = 1.0
    (ax,) = histograms(table).axes
    heights = [patch.get_data()[0].max() for patch in ax.patches if isinstance(patch, StepPatch) and patch.get_fill()]
    assert heights[2] == pytest.approx(figures.HIGHEST * max(heights[:2]))
    assert [text.endswith("cut off ↑") for text in legend(ax)] == [False, False, True, False]


@pytest.mark.parametrize("count", [1, 6, 12, 25])
def test_the_bars_keep_their_size_however_many_sets_the_legend_has(count):
    outs = [f"set_{number}" for number in range(count)]
    rows = [pd.DataFrame({"set": name, "value": np.linspace(2, 4, 50)}) for name in ("train", "test", *outs)]
    table = pd.concat(rows).assign(model="glow", unit="bits_per_dim")
    figure = figures.likelihood_histograms(table, "mnist", outs, {"glow": dict.fromkeys(outs, 0.5)}, 10)
    figure.canvas.draw()
    (ax,) = figure.axes
    top = max(patch.get_data().values.max() for patch in ax.patches)
    pixels = ax.transData.transform((0.0, top))[1] - ax.transData.transform((0.0, 0.0))[1]
    assert pixels / figure.dpi > 1.2  # inches
    assert ax.get_legend().get_window_extent().y0 > ax.transData.transform((0.0, top))[1]


def test_the_legend_stands_above_the_bars():
    for outs in (["mnist_5k"], OUTS, [*OUTS, "constant", "notmnist", "omniglot28"]):
        table = likelihoods(["glow"])
        more = [table[table["set"] == "mnist_5k"].assign(set=out) for out in outs if out not in OUTS]
        figure = figures.likelihood_histograms(
            pd.concat([table, *more]), "fashion_mnist", outs, {"glow": dict.fromkeys(outs, 0.5)}, BINS
        )
        figure.draw_without_rendering()
        (ax,) = figure.axes
        bars = max(patch.get_data()[0].max() for patch in ax.patches if isinstance(patch, StepPatch))
        top = ax.transData.transform((0.0, bars))[1]
        assert ax.get_legend().get_window_extent().y0 > top


def test_a_model_of_binarised_images_has_an_axis_of_its_own():
    both = pd.concat(
        [likelihoods(["vae_binarised"], "binary_bits_per_dim", scale=0.05), likelihoods(["glow"])], ignore_index=True
    )
    binary, bits = histograms(both).axes
    assert "binarised" in binary.get_xlabel()
    assert "binarised" not in bits.get_xlabel()
    assert bits.get_xlim()[1] > 10 * binary.get_xlim()[1]


def test_sets_have_colours_of_their_own():
    many = [f"set_{i}" for i in range(len(figures.OUT_COLORS))]
    palette = figures.colors(many)
    assert len({palette[name] for name in ("train", "test", *many)}) == len(many) + 2


def test_loss_curves_are_the_tables():
    for (model, curve), ax in zip(
        curves().items(), figures.loss_curves(curves(), "fashion_mnist", EPOCH_IMAGES).axes, strict=True
    ):
        assert ax.get_title() == model_title(model)
        assert ax.get_xlabel() == "epoch of 500 images"
        assert ax.get_ylabel() == "bits/dim"
        for line, split in zip(ax.lines, ("train", "validation"), strict=True):
            assert line.get_label() == split
            np.testing.assert_array_equal(line.get_xydata(), curve[["epoch", split]].to_numpy(float))


def test_sample_grids_stand_in_their_order_under_their_titles():
    grids = {
        "vae": {"epoch 2": np.full((8, 8, 3), 0.1), "drawn": np.full((8, 8, 3), 0.2)},
        "glow": {"epoch 1": np.full((8, 8, 3), 0.3)},
    }
    axes = figures.sample_grids(grids, "fashion_mnist").axes
    shown = [(ax.get_title(), ax.images[0].get_array().max()) for ax in axes if ax.images]
    assert shown == [
        ("VAE: epoch 2", 0.1),
        ("VAE: drawn", 0.2),
        ("Glow: epoch 1", 0.3),
    ]
    assert not any(ax.axison for ax in axes)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with what `plot` reads."""
    values = {"benchmarks": {"toy": {"in": "fashion_mnist", "out": OUTS}}, "plot": {"bins": BINS}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "plots/toy/tables").mkdir(parents=True)
    table = likelihoods()
    table["index"] = table.groupby(["model", "set"]).cumcount() % 20
    table.to_parquet(tmp_path / "plots/toy/tables/likelihoods.parquet", index=False)
    auroc = pd.DataFrame({model: {out: AUROC[out] for out in OUTS} for model in MODELS}).rename_axis("out")
    auroc.to_csv(tmp_path / "plots/toy/tables/auroc.csv")
    for name in ("test", *OUTS):
        side = "in" if name == "test" else "out"
        x = np.random.RandomState(len(name)).randint(0, 256, (20, 1, 8, 8)).astype(np.uint8)
        images.save(tmp_path / "data/processed/toy" / side / f"{name}.npy", x)
        bits = {model: np.random.RandomState(1).rand(3, 8, 8) for model in MODELS}
        (tmp_path / "data/maps/toy").mkdir(parents=True, exist_ok=True)
        means = {f"mean_{model}": each[0] for model, each in bits.items()}
        np.savez(tmp_path / f"data/maps/toy/{name}.npz", index=np.arange(3), **bits, **means)
    for model, curve in curves().items():
        plots = tmp_path / "metrics/toy/train" / model / "plots"
        (plots / "metrics").mkdir(parents=True)
        seen = pd.DataFrame({"step": curve["epoch"], "images": curve["images"]})
        seen.to_csv(plots / "metrics/images.tsv", sep="\t", index=False)
        for split in ("train", "validation"):
            (plots / "metrics" / split).mkdir(parents=True)
            column = pd.DataFrame({"step": curve["epoch"], "bits_per_dim": curve[split]})
            column.to_csv(plots / "metrics" / split / "bits_per_dim.tsv", sep="\t", index=False)
        (plots / "images/samples").mkdir(parents=True)
        for epoch in (1, 3):
            grid = np.random.RandomState(epoch).randint(0, 256, (16, 16, 3), dtype=np.uint8)
            matplotlib.image.imsave(plots / f"images/samples/epoch_{epoch:03d}.png", grid)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["plot.py", "--benchmark", "toy"])
    return tmp_path


@pytest.mark.slow
def test_the_stage_draws_its_figures_with_the_same_bytes_every_time(project, monkeypatch):
    monkeypatch.setattr(figures.save, "__defaults__", (40,))  # most of the time would be for pixels
    monkeypatch.setattr(plot, "SHEET_DPI", 40)
    runs = []
    for _ in range(2):
        plot.main()
        folder = project / "plots/toy/figures"
        runs.append({path.name: path.read_bytes() for path in folder.iterdir()})
        for path in folder.iterdir():
            picture = matplotlib.image.imread(path)[..., :3]
            assert (picture < 0.99).any(axis=-1).mean() > 0.01, f"{path.name} is blank"
    assert set(runs[0]) == {"likelihoods.png", "curves.png", "samples.png", "maps.png"}
    assert {path.name for path in (project / "plots/toy/contact").iterdir()} == {f"{model}.png" for model in MODELS}
    assert runs[0] == runs[1]


def test_curves_and_grids_are_read_as_training_wrote_them(project):
    for model, curve in curves().items():
        plots = project / "metrics/toy/train" / model / "plots"
        pd.testing.assert_frame_equal(figures.read_curve(plots), curve[["epoch", "images", "train", "validation", "unit"]])
        assert list(figures.read_grids(plots, 500)) == ["epoch 1\n(500 images)", "epoch 3\n(1,500 images)"]


def outside(figure):
    """The texts that do not lie within a figure."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert texts
    inner = figure.bbox.padded(0.5)
    return [
        text.get_text() for text in texts if not all(inner.contains(*corner) for corner in text.get_window_extent().corners())
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_no_text_of_the_maps_of_a_ratio_is_cut_off(channels):
    bits = {name: np.ones((3, 6, 6)) for name in ("pixelcnn", "pixelcnn_background", "difference")}
    found = {name: Maps(np.zeros((3, channels, 6, 6), np.uint8), bits, {}) for name in ("test", "cifar10_vehicles")}
    rows = {
        "pixelcnn": Model("pixelcnn", "bits_per_dim"),
        "pixelcnn_background": Model("background", "bits_per_dim"),
        "difference": Model("difference", "bits_per_dim", signed=True),
    }
    assert outside(maps(found, rows, "cifar10_animals", "what the ratio sees")) == []


@pytest.mark.slow
def test_severities_of_values_far_apart_have_a_logarithmic_axis_and_every_panel_without_one_below_names_its_own():
    rows = [(line, kind, severity, 2.0 ** (10 * severity)) for line in MODELS for kind in "abcdefg" for severity in (0, 1)]
    table = pd.DataFrame(rows, columns=["line", "kind", "severity", "value"])
    figure = figures.severity_curves(table, {model: model_title(model) for model in MODELS}, "title", "bits/dim", log=True)
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_yscale() for ax in panels] == ["log"] * 7
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in panels[0].get_yticklabels()]
    assert ticks
    assert all(tick == f"{float(tick):g}" for tick in ticks)
    assert [ax.get_xlabel() for ax in panels] == ["", "", *["severity"] * 5]
    assert outside(figure) == []


@pytest.mark.parametrize("title", ["g", "KDE of log p, residuals, code lengths, Gated PixelCNN"])
@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.parametrize("outs", [["cifar10_vehicles"], OUTS])
def test_every_cell_of_a_heat_map_has_room_for_its_number_and_no_text_is_cut_off(title, rows, outs):
    keys = [("glow", f"score_{number}") for number in range(rows)]
    cells = [(*key, "cifar10_animals", out, 0.5) for key in keys for out in outs]
    table = pd.DataFrame(cells, columns=["model", "score", "benchmark", "out", "auroc"])
    columns = [("cifar10_animals", "cifar10_animals", out) for out in outs]
    figure = figures.heat_map(table, dict.fromkeys(keys, title), {"": columns})
    assert outside(figure) == []
    assert figure.axes[0].get_window_extent().width > 0.5 * figure.dpi * len(outs)


def test_the_number_beside_a_loss_curve_is_its_last_value():
    curve = pd.DataFrame({"epoch": [1, 2, 3], "train": [4.0, 3.0, 3.2], "validation": [3.8, 3.1, 3.3]}).assign(
        unit="bits_per_dim"
    )
    (ax,) = figures.loss_curves({"glow": curve}, "fashion_mnist", EPOCH_IMAGES).axes
    assert [text.get_text() for text in ax.texts] == ["3.200", "3.300"]


def test_a_cell_of_a_heat_map_has_its_own_number_and_the_better_is_the_bluer():
    cells = [("glow", "waic", "noise", 0.0), ("glow", "waic", "mnist", 0.25), ("vae", "mean", "mnist", 1.0)]
    table = pd.DataFrame(cells, columns=["model", "score", "out", "auroc"]).assign(benchmark="toy")
    rows = {("glow", "waic"): "first", ("vae", "mean"): "second"}
    ax = figures.heat_map(table, rows, {"": [("toy", "svhn", "noise"), ("toy", "svhn", "mnist")]}).axes[0]
    numbers = {tuple(map(int, text.get_position())): text.get_text() for text in ax.texts}  # by column and row
    assert numbers == {(0, 0): "0.000", (1, 0): "0.250", (1, 1): "1.000"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    np.testing.assert_array_equal(ax.images[0].get_array().filled(np.nan), [[0.0, 0.25], [np.nan, 1.0]])
    ((worst, best),) = ax.images[0].to_rgba(np.array([[0.0, 1.0]]))
    assert worst[0] > worst[2]
    assert best[2] > best[0]


def test_test_images_are_on_the_axis():
    table = likelihoods(["glow"])
    table.loc[table["set"] == "test", "value"] = np.linspace(1.0, 9.0, 200, dtype=np.float32)
    (ax,) = histograms(table).axes
    assert legend(ax)[1] == "Fashion-MNIST test (200)", "no share of them is beyond it"


def test_the_number_in_a_map_of_differences_is_their_sum():
    ax = Figure().subplots()
    sum_of(ax, np.full((20, 60), -2.0))
    assert [text.get_text() for text in ax.texts] == ["−2,400 bits"]


@pytest.mark.parametrize(("unit", "bits"), [("bits_per_dim", 8.0), ("binary_bits_per_dim", 1.0)])
def test_the_scale_of_a_map_ends_at_a_blind_guess_of_all_colours(unit, bits):
    for channels in (1, 3):
        one, difference = (Model("glow", unit, signed).colors(channels).norm for signed in (False, True))
        assert (one.vmin, one.vmax) == (0.0, bits * channels)
        assert (difference.vmin, difference.vmax) == (-bits * channels / 2, bits * channels / 2)


def test_an_epoch_has_the_images_that_were_seen_after_the_first(project):
    drawn = figures.of_models({model: project / "metrics/toy/train" / model / "plots" for model in MODELS}, "fashion_mnist")
    assert {ax.get_xlabel() for ax in drawn["curves"].axes} == {"epoch of 500 images"}


def test_seeds_stand_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    for seed in (2, 10, 1):
        (tmp_path / f"seed_{seed}").mkdir()
    monkeypatch.setattr(figures, "of_models", lambda folders, _in_name: list(folders))
    assert figures.of_variant(tmp_path, "glow_seeds", "mnist") == [f"glow_seeds, seed {seed}" for seed in (1, 2, 10)]
