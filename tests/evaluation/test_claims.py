"""The claims: verdicts by a fixed rule from made results, the page, the numbers of `explain`, the experiments of `dissect`."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid

from likelihood.analyses import dissection
from likelihood.docs import claims
from likelihood.docs.claims import Finding, Results, rounding, verdict
from likelihood.docs.scores import over_seeds
from likelihood.evaluation import claims as evidence
from likelihood.figures import claims as claimfigures
from likelihood.models.shared import checkpoint
from likelihood.scores import complexity
from tests.builders import VARIANTS, build, images
from tests.helpers import table_rows

MODELS = ("vae", "pixelcnn", "glow")
ENTRIES = {
    "fashion_mnist_wide": {"in": "fashion_mnist", "out": ["mnist", "noise"]},
    "mnist": {"in": "mnist", "out": ["fashion_mnist", "noise", "constant"]},
}


def summary(test, out, auroc, name, noise=9.0):
    row = {"bits_per_dim": {"train": test - 0.01, "test": test, name: out, "noise": noise}, name: {"auroc": auroc}}
    return dict.fromkeys(MODELS, row)


@pytest.fixture
def results(tmp_path):
    """Inverted where clothes are the in-set, as hoped where digits are."""
    wide = tmp_path / "fashion_mnist_wide" / "claims"
    wide.mkdir(parents=True)
    rows = [("contrast", at, name, 3.0 * at + 0.5, 0.2) for at in (1.0, 0.5, 0.0) for name in ("test", "mnist")]
    rows += [("epoch", at, "mnist", 2.0, auroc) for at, auroc in ((1, 0.3), (10, 0.6))]
    table = pd.DataFrame(rows, columns=["experiment", "at", "set", "mean", "auroc"])
    for model in MODELS:
        table.to_csv(wide / f"{model}.csv", index=False)
    parts = {"log_pz": {"auroc": {"mnist": 0.7}}, "ladj": {"auroc": {"mnist": 0.1}}}
    levels = {"most_likely": 0, "least_likely": 130, "most": 0.1, "least": 2.0}
    looks = {"mnist": {"test": 1.0, "mnist": 0.02, "vae": 0.9, "pixelcnn": 0.8, "glow": 0.4}}
    found = {"samples": looks, "split": parts, "code": {"test": 4.0, "mnist": 2.0, "noise": 8.1}, "constants": {"glow": levels}}
    (wide / "explain.json").write_text(json.dumps(found))
    additive = tmp_path / "fashion_mnist_wide" / "glow_additive"
    additive.mkdir()
    gap = {"measured": 500.0, "variances": -3.0, "second": 200.0, "first": 40.0, "ladj": 0.0}
    curved = {"gaps": {"mnist": gap}, "total_variance": {"test": 68.0, "mnist": 52.0}, "std_of_ladj": 0.0}
    (additive / "curvature.json").write_text(json.dumps(curved))
    metrics = {
        "fashion_mnist_wide": summary(3.0, 2.0, 0.1, "mnist"),
        "mnist": summary(1.0, 4.0, 0.99, "fashion_mnist"),
    }
    seeds = [("fashion_mnist_wide", "glow", "log_prob", "mnist", 3, 0.1, 0.01)]
    scores = [("fashion_mnist_wide", "glow", "ensemble", "mnist", 0.09)]
    return Results(
        ENTRIES,
        {"fashion_mnist": ["mnist"]},
        metrics,
        {"fashion_mnist_wide": {"glow_additive": summary(4.0, 3.0, 0.2, "mnist")["glow"]}},
        tmp_path,
        pd.DataFrame(seeds, columns=["benchmark", "model", "score", "out", "seeds", "auroc_mean", "auroc_std"]),
        pd.DataFrame(scores, columns=["benchmark", "model", "score", "out", "auroc"]),
    )


def test_what_eight_bits_change_is_seen_where_a_snapshot_is_of_the_best_epoch(results, tmp_path):
    tables = tmp_path / "metrics/scores"
    shutil.copytree(tmp_path / "fashion_mnist_wide", tables / "fashion_mnist_wide")
    for model, best in zip(MODELS, (10, 10, 3), strict=True):  # of 1 and 10 there are snapshots
        path = tmp_path / "metrics/fashion_mnist_wide/train" / model / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"best": {"epoch": best}}))
    found = rounding(results._replace(tables=tables))
    assert list(found["mean"]) == [2.0 - 3.5] * 2
    np.testing.assert_allclose(found["auroc"], [0.6 - 0.2] * 2)
    assert len(rounding(results._replace(tables=tmp_path / "nothing" / "scores"))) == 0


def test_a_verdict_counts_the_findings_that_show_the_claim():
    yes, no = Finding("", True), Finding("", False)
    assert verdict([yes, yes]) == "reproduced (2 of 2)"
    assert verdict([yes, no, no]) == "partly (1 of 3)"
    assert verdict([no]) == "not reproduced (0 of 1)"


def test_findings_come_from_the_results_and_tell_what_holds(results):
    def holds(found):
        return [finding.holds for finding in found]

    assert holds(claims.likelier(results)) == [True] * 3
    assert holds(claims.asymmetric(results)) == [True] * 3
    exchanged = results._replace(simpler={"mnist": ["fashion_mnist"]})
    assert holds(claims.likelier(exchanged)) == [False] * 3
    assert holds(claims.asymmetric(exchanged)) == [False] * 3
    assert holds(claims.additive(results)) == [True]
    assert holds(claims.split(results)) == [True]
    assert holds(claims.curvature(results)) == [False]  # predicted and measured gap differ in sign
    assert holds(claims.training(results)) == [False] * 3  # above one half at the last snapshot
    assert holds(claims.overfitting(results)) == [True] * 3
    assert holds(claims.ensemble(results)) == [True]
    assert holds(claims.samples(results)) == [True, True, False]
    assert holds(claims.made(results)) == [True]
    assert holds(claims.contrast(results)) == [True] * 6
    assert holds(claims.entropy(results)) == [True] * 3
    (one,) = claims.ensemble(results)
    assert one.text == "Fashion-MNIST → MNIST, Glow: AUROC of the ensemble 0.090, of 3 seeds 0.100 ± 0.010"
    older = results._replace(scores=results.scores.query("score != 'ensemble'"))
    assert list(claims.ensemble(older)) == [], "seeds whose ensemble was not measured yet"


def test_a_benchmark_without_noise_says_nothing_of_noise(results):
    del results.summary["fashion_mnist_wide"]["glow"]["bits_per_dim"]["noise"]
    assert list(claims.made(results)) == []


def test_a_model_of_binarised_images_is_in_no_finding_that_compares_likelihoods(results):
    summary = results.summary["fashion_mnist_wide"]
    row = summary.pop("glow")
    summary["glow_binarised"] = {"binary_bits_per_dim": row["bits_per_dim"], "mnist": row["mnist"]}
    assert list(claims.made(results)) == []
    every = (claims.likelier, claims.overfitting, claims.entropy, claims.training, claims.samples, claims.contrast)
    for findings in every:
        texts = [finding.text for finding in findings(results)]
        assert {("VAE" in text, "PixelCNN" in text) for text in texts} == {(True, False), (False, True)}


def test_an_out_set_that_no_experiment_has_is_in_no_finding(results):
    entries = {name: {**entry, "out": [*entry["out"], "kmnist"]} for name, entry in results.entries.items()}
    more = {name: {model: {**row, "kmnist": row[next(iter(row.keys() - {"bits_per_dim"}))]} for model, row in found.items()}
            for name, found in results.summary.items()}  # fmt: skip
    both = results._replace(entries=entries, simpler={"fashion_mnist": ["mnist", "kmnist"]}, summary=more)
    for findings in (claims.split, claims.curvature, claims.training, claims.samples, claims.contrast, claims.ensemble):
        assert set(findings(both)) == set(findings(results))


def test_samples_that_look_like_the_in_set_are_no_evidence_where_the_out_set_is_less_likely(results):
    summary = results.summary["fashion_mnist_wide"]
    summary["vae"] = {**summary["vae"], "mnist": {"auroc": 0.9}}
    assert [finding.holds for finding in claims.samples(results)] == [False, True, False]


def test_the_page_has_every_claim_that_results_tell_of_with_its_evidence(results):
    page = claims.page(results)
    assert page.count("](#claim-") == len(claims.CLAIMS)
    assert all(claim.text in page for claim in claims.CLAIMS)
    assert {row[2]: row[1] for row in table_rows(page)}["[evidence](#claim-5)"] == "not reproduced (0 of 1)"
    assert page.count("**not shown**") == 5
    assert "(claims.md#claim-3)" in claims.overview(results, "claims.md")


def test_a_finding_that_two_benchmarks_share_counts_once(results):
    twice = claims.Claim("", lambda found: iter([*claims.contrast(found), *claims.contrast(found)]), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "CLAIMS", (twice,))
        ((_, findings),) = claims.testable(results)
    assert findings == list(claims.contrast(results))


def test_a_claim_without_results_is_left_out(results):
    bare = results._replace(tables=results.tables / "absent", variants={}, seeds=over_seeds(results.tables / "absent"))
    texts = [claim.text for claim, _ in claims.testable(bare)]
    assert len(texts) == 3
    assert not any("log-determinant" in text for text in texts)


def test_the_parts_of_a_flow_s_likelihood_are_in_bits_and_one_that_is_the_same_for_all_is_not_drawn():
    rng = np.random.RandomState(0)
    columns = lambda shift: pd.DataFrame({  # noqa: E731
        "log_pz": rng.normal(-100.0, 5.0, 50), "ladj": rng.normal(30.0 + shift, 5.0, 50),
        "ladj_preprocess": 0.0, "dequantization": 0.0,
    })  # fmt: skip
    statistics = {"test": columns(0.0), "mnist": columns(80.0), "noise": columns(-900.0)}
    numbers, values = evidence.split(statistics, 10, ["mnist", "noise"])
    assert list(numbers) == ["log_pz", "ladj", "ladj_preprocess", "dequantization"]
    assert list(values) == ["log p(z), bits/dim", "log |det| of the flow, bits/dim"]
    assert numbers["log_pz"]["mean"]["test"] == pytest.approx(statistics["test"]["log_pz"].mean() / (10 * np.log(2)))
    assert numbers["ladj"]["auroc"] == {"mnist": 0.0}  # a larger determinant, so likelier; noise is not natural
    assert numbers["ladj_preprocess"]["auroc"] == {"mnist": 0.5}
    assert evidence.constants(np.array([3.0, 1.0, 9.0])) == {"most_likely": 1, "least_likely": 2, "most": 1.0, "least": 9.0}


def test_samples_are_cut_from_their_grid_as_they_were():
    x = images(7, (3, 9, 5))
    grid = make_grid(x, nrow=3, pad_value=255).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(evidence.pictures(grid, (3, 9, 5)), x.numpy())  # the two blank cells are left out
    grey = images(1, (1, 6, 6))
    np.testing.assert_array_equal(
        evidence.pictures(make_grid(grey, pad_value=255).permute(1, 2, 0).numpy(), (1, 6, 6)), grey.numpy()
    )


def test_a_forest_tells_the_look_of_two_sets():
    rng = np.random.RandomState(0)
    dark, light = rng.randint(0, 100, (90, 1, 4, 4)).astype(np.uint8), rng.randint(90, 256, (90, 1, 4, 4)).astype(np.uint8)
    found = evidence.in_distribution(dark[:60], light[:60], {"dark": dark[60:], "light": light[60:]}, seed=0)
    assert found["dark"] > 0.9
    assert found["light"] < 0.1
    assert found == evidence.in_distribution(dark[:60], light[:60], {"dark": dark[60:], "light": light[60:]}, seed=0)


@pytest.mark.parametrize("count", [30, 300], ids=["few", "many"])
def test_the_look_of_samples_depends_neither_on_the_order_nor_on_the_size_of_a_set(tmp_path, count):
    rng = np.random.RandomState(0)
    inside = rng.normal(128, 25, (700, 1, 4, 4)).clip(0, 255).astype(np.uint8)
    ordered = np.concatenate([rng.normal(mean, 25, (count // 2, 1, 4, 4)).clip(0, 255).astype(np.uint8) for mean in (70, 190)])
    for name, x in (("in/val", inside[:400]), ("in/test", inside[400:]), ("out/other", ordered)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", x)
    found = evidence.look_of_samples(tmp_path, "other", {"glow": np.full((4, 4, 3), 128, np.uint8)}, seed=0)
    assert found["glow"] == 1.0
    assert found["test"] > 0.7
    assert found["other"] < 0.3


OUTS = ("mnist", "noise", "constant")


@pytest.mark.parametrize("far", [1.0, 90.0])
def test_no_point_of_a_curve_is_cut_off(far):
    table = pd.DataFrame({"at": [1.0, 0.5] * 2, "set": ["test", "test", "mnist", "mnist"], "mean": [3.0, 2.0, 1.5, far]})
    tables, units = dict.fromkeys(MODELS, table), dict.fromkeys(MODELS, "bits_per_dim")
    for ax in claimfigures.lines(tables, units, "fashion_mnist", OUTS, "λ", "less contrast").axes:
        low, high = ax.get_ylim()
        assert all(low < value < high for line in ax.lines for value in line.get_ydata())


def test_figures_are_drawn_with_a_line_or_bar_for_every_set():
    rng = np.random.RandomState(0)
    values = {"test": rng.normal(3.0, 1.0, 90), "mnist": rng.normal(2.0, 1.0, 90)}
    units = dict.fromkeys(MODELS, "bits_per_dim")
    means = {model: {"test": 3.0, "mnist": 2.0, "noise": 700.0, "constant": 1.0} for model in MODELS}
    table = pd.DataFrame({"at": [1.0, 0.5] * 2, "set": ["test", "test", "mnist", "mnist"], "mean": [3.0, 2.0, 1.5, 1.0]})
    levels = {model: np.linspace(1.0, 4.0, 256) for model in MODELS}
    drawn = [
        claimfigures.split({"log p(z)": values, "log |det|": values}, "fashion_mnist", OUTS),
        claimfigures.constants(levels, means, units, "fashion_mnist", OUTS),
        claimfigures.lines(dict.fromkeys(MODELS, table), units, "fashion_mnist", OUTS, "λ", "less contrast", reverse=True),
        claimfigures.entropy({"test": 4.0, "mnist": 2.0, "noise": 8.1}, means, "fashion_mnist", OUTS),
    ]
    for figure, expected in zip(drawn, (2, 4, 2, 3), strict=True):
        for legend in figure.legends or [ax.get_legend() for ax in figure.axes]:
            assert len(legend.get_texts()) == expected
    assert any("700.0 ↑" in text.get_text() for text in drawn[1].axes[0].get_legend().get_texts())
    for ax in drawn[1].axes:
        ax.figure.draw_without_rendering()
        low = ax.get_legend().get_window_extent().y0
        assert all(ax.transData.transform((0, max(line.get_ydata(), default=0)))[1] < low for line in ax.lines), "it is legible"
    assert any("700 ↑" in text.get_text() for text in drawn[3].axes[0].get_legend().get_texts())


def test_the_experiments_of_dissect_are_all_contrasts_and_snapshots(tmp_path):
    torch.set_default_dtype(torch.float32)
    name, arguments = VARIANTS[0]
    model = build(name, arguments, (1, 8, 8))
    (tmp_path / "snapshots").mkdir()
    for file in ("best", "snapshots/epoch_002", "snapshots/epoch_010"):
        checkpoint.save(tmp_path / f"{file}.safetensors", model.state_dict(), name, {**arguments, "shape": [1, 8, 8]})
    x = images(4, (1, 8, 8)).numpy()
    found = list(dissection.experiments(tmp_path, {"test": x}, [100.0]))
    assert [(experiment, at) for experiment, at, _, _ in found] == [
        *(("contrast", factor) for factor in dissection.CONTRASTS),
        ("epoch", 2),
        ("epoch", 10),
    ]
    np.testing.assert_array_equal(found[0][3]["test"], x)
    assert set(found[5][3]["test"].ravel().tolist()) == {100}
    assert found[-1][3]["test"] is x
    assert all(torch.equal(weight, found[-1][2].state_dict()[key]) for key, weight in model.state_dict().items())


def test_of_sets_of_images_all_alike_no_part_is_drawn():
    alike = pd.DataFrame({part: [5.0, 5.0, 5.0] for part in evidence.PARTS})
    numbers, parts = evidence.split({"test": alike, "mnist": alike}, 784, ["mnist"])
    assert parts == {}
    assert numbers.keys() == evidence.PARTS.keys()


def test_a_dissection_has_the_mean_of_each_set_and_the_out_set_s_auroc_at_the_same_place():
    values = {(1.0, "test"): [2.0, 3.0, 7.0], (1.0, "mnist"): [1.0, 2.5], (0.5, "test"): [1.0], (0.5, "mnist"): [2.0, 3.0]}
    rows = [("contrast", at, name, value) for (at, name), found in values.items() for value in found]
    found = evidence.measured(pd.DataFrame(rows, columns=["experiment", "at", "set", "value"]))
    assert found[["at", "set", "n"]].to_numpy().tolist() == [[at, name, len(each)] for (at, name), each in values.items()]
    assert found["mean"].tolist() == [4.0, 1.75, 1.0, 2.5]
    np.testing.assert_allclose(found["auroc"], [np.nan, 1 / 6, np.nan, 1.0], atol=1e-4)  # lower is more likely


def test_the_size_of_an_image_is_that_under_the_best_codec(tmp_path):
    for name, side in (("test", "in"), ("mnist", "out")):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / f"{name}.npy", images(3, (1, 6, 6), seed=len(name)).numpy())
    found = evidence.code_lengths(tmp_path, ["mnist"], seed=0)
    for name, side in (("test", "in"), ("mnist", "out")):
        nats = complexity.lengths(np.load(tmp_path / side / f"{name}.npy")).to_numpy()
        assert found[name] == pytest.approx(nats.min(axis=1).mean() / 36 / np.log(2.0))


def test_a_forest_is_asked_about_images_that_it_has_not_seen(tmp_path, monkeypatch):
    for name in ("in/val", "in/test", "out/other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", images(40, (1, 4, 4), seed=len(name)).numpy())
    asked = []
    monkeypatch.setattr(evidence, "in_distribution", lambda *arguments: asked.append(arguments) or {})
    evidence.look_of_samples(tmp_path, "other", {}, seed=0)
    ((inside, outside, judged, _),) = asked
    assert (len(inside), len(outside), len(judged["other"])) == (20, 20, 20)
    assert not {x.tobytes() for x in outside} & {x.tobytes() for x in judged["other"]}


def test_the_newest_grid_is_that_of_samples_where_the_others_are_of_means(tmp_path):
    for level, name in ((2, "epoch_002"), (10, "epoch_010")):
        Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(tmp_path / f"{name}.png")
    assert (evidence.newest_samples(tmp_path) == 10).all()
    Image.fromarray(np.full((4, 4, 3), 99, np.uint8)).save(tmp_path / "drawn.png")
    assert (evidence.newest_samples(tmp_path) == 99).all()


def test_the_seed_decides_what_a_forest_finds():
    inside, outside, judged = np.split(images(240, (1, 4, 4)).numpy(), 3)  # which nothing tells apart
    found = [evidence.in_distribution(inside[:20], outside[:20], {"it": judged}, seed)["it"] for seed in range(4)]
    assert len(set(found)) > 1


def test_no_finding_holds_at_its_limit(results):
    row = results.summary["fashion_mnist_wide"]["vae"]  # the one of every model
    row["bits_per_dim"]["train"], row["mnist"]["auroc"] = 3.0 - 0.1, 0.5
    results.variants["fashion_mnist_wide"]["glow_additive"]["mnist"]["auroc"] = 0.5
    results.scores["auroc"] = 0.5
    path = results.tables / "fashion_mnist_wide/claims/explain.json"
    path.write_text(path.read_text().replace('"mnist": 0.7', '"mnist": 0.4'))
    for findings in (claims.likelier, claims.overfitting, claims.additive, claims.ensemble, claims.split):
        assert not any(finding.holds for finding in findings(results)), findings


def test_a_claim_on_several_sets_holds_if_each_of_them_shows_it(results):
    place = results.tables / "fashion_mnist_wide/claims"
    table = pd.read_csv(place / "glow.csv")
    table.loc[(table["experiment"] == "contrast") & (table["at"] == 0.0), "mean"] = 2.1  # the last of 3.5, 2.0
    table.to_csv(place / "glow.csv", index=False)
    assert [finding.holds for finding in claims.contrast(results)] == [True] * 4 + [False] * 2
    results.summary["fashion_mnist_wide"]["glow"]["bits_per_dim"]["noise"] = 2.5
    assert [finding.holds for finding in claims.made(results)] == [False], "noise is likelier than the in-set"
    found = json.loads((place / "explain.json").read_text())
    found["code"] = {"test": 1.0, "mnist": 2.0, "noise": 1000.0}  # their likelihoods are 3.0, 2.0 and 2.5
    (place / "explain.json").write_text(json.dumps(found))
    assert not any(finding.holds for finding in claims.entropy(results))


@pytest.mark.parametrize("reverse", [True, False])
def test_contrast_falls_and_epochs_rise_to_the_right(reverse):
    table = pd.DataFrame({"at": [1.0, 0.5], "set": "test", "mean": [3.0, 2.0]})
    figure = claimfigures.lines({"glow": table}, {"glow": "bits_per_dim"}, "mnist", OUTS, "x", "title", reverse)
    assert [ax.xaxis_inverted() for ax in figure.axes] == [reverse]


def test_the_lines_of_the_parts_are_at_their_means():
    values = {"test": np.array([1.0, 2.0, 9.0]), "mnist": np.array([-3.0, 0.0, 0.0])}
    (ax,) = claimfigures.split({"log p(z)": values}, "fashion_mnist", OUTS).axes
    assert [line.get_xdata()[0] for line in ax.lines] == [4.0, -1.0]


def test_every_set_has_a_point_within_the_axes_of_the_entropy():
    means = {"glow": {"test": 3.0, "noise": 700.0}}
    (ax,) = claimfigures.entropy({"test": 4.0, "noise": 8.1}, means, "fashion_mnist", OUTS).axes
    assert all(0.0 < line.get_ydata()[0] < ax.get_ylim()[1] for line in ax.lines[1:])  # after the diagonal
