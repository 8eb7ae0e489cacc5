"""The table of scores and its ranking; codecs; densities; the tables behind the plots; the stage `rank`."""

import io
import json

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

import rank
from likelihood import scores
from likelihood.common import images, params
from likelihood.common.errors import InputError
from likelihood.evaluation import metrics, results
from likelihood.scores import complexity
from likelihood.scores.density import gaussian, kde, one_class_svm, whitening
from tests.helpers import ROOT


def sample(n, low, high, seed):
    rng = np.random.RandomState(seed)
    images = rng.randint(low, high, (n, 1, 6, 6)).astype(np.uint8)
    return scores.Sample(images, complexity.lengths(images), pd.DataFrame({"log_prob": rng.normal(-100.0 - high, 5.0, n)}))


RNG = np.random.RandomState(0)
SAMPLES = {"val": sample(80, 0, 60, 0), "test": sample(50, 0, 60, 1), "near": sample(50, 0, 62, 2), "far": sample(40, 0, 200, 3)}


def test_a_cell_is_the_auroc_of_the_score_fitted_on_validation_images():
    table = results.compare(["typicality", "mean", "typicality_10"], SAMPLES, "glow", ["near", "far"], 100, 0)
    assert list(table.columns) == list(results.COLUMNS)
    score = scores.get("typicality").fit(SAMPLES["val"])
    values = np.concatenate([score.score(SAMPLES["test"]), score.score(SAMPLES["far"])])
    found = table.set_index(["score", "out"]).loc[("typicality", "far")]
    assert found["auroc"] == pytest.approx(roc_auc_score([0] * 50 + [1] * 40, values))
    assert found["auroc_low"] <= found["auroc"] <= found["auroc_high"]
    assert table.set_index(["score", "out"])["n"].to_dict() == {
        ("typicality", "near"): 50,
        ("typicality", "far"): 40,
        ("mean", "near"): 50,
        ("mean", "far"): 40,
        ("typicality_10", "near"): 5,
        ("typicality_10", "far"): 4,
    }


def test_a_score_of_batches_has_no_row_where_a_set_cannot_fill_one():
    few = {**SAMPLES, "few": sample(9, 0, 60, 4)}
    table = results.compare(["typicality_2", "typicality_10"], few, "glow", ["near", "few"], 100, 0)
    assert list(zip(table["score"], table["out"], strict=True)) == [
        ("typicality_2", "near"),
        ("typicality_2", "few"),
        ("typicality_10", "near"),
    ]
    few["test"] = few["few"]
    assert results.compare(["typicality_10"], few, "glow", ["near"], 100, 0).empty


def test_pooled_samples_have_the_likelihoods_of_all_models():
    doubled = {key: found._replace(statistics=found.statistics * 2) for key, found in SAMPLES.items()}
    both = results.pooled({"vae": SAMPLES, "glow": doubled})
    assert list(both["far"].statistics) == ["log_prob_vae", "log_prob_glow"]
    np.testing.assert_allclose(both["far"].statistics["log_prob_glow"], 2 * SAMPLES["far"].statistics["log_prob"])


def table(cells):
    return pd.DataFrame([(*key, value) for key, value in cells.items()], columns=["benchmark", "model", "score", "out", "auroc"])


CELLS = {
    ("a", "vae", "log_prob", "x"): 0.9,
    ("b", "vae", "log_prob", "y"): 0.2,
    ("a", "none", "mean", "x"): 0.6,
    ("b", "none", "mean", "y"): 0.5,
    ("a", "glow", "log_pz", "x"): 1.0,  # is not there for the other pair
    ("a", "vae", "log_prob", "noise"): 0.0,  # not among the pairs
}


def test_scores_are_ranked_by_their_worst_pair_and_cannot_stay_away_from_one():
    ranked = results.ranking(table(CELLS), [("a", "x"), ("b", "y")])
    assert ranked.to_dict("records") == [
        {"model": "none", "score": "mean", "worst": 0.5, "benchmark": "b", "out": "y"},
        {"model": "vae", "score": "log_prob", "worst": 0.2, "benchmark": "b", "out": "y"},
    ]


def test_without_a_natural_pair_nothing_is_ranked():
    assert results.ranking(table(CELLS), []).empty


DECODE = {
    "png": lambda data: np.array(Image.open(io.BytesIO(data))),
    "webp": lambda data: np.array(Image.open(io.BytesIO(data))),
    "jpeg2000": imagecodecs.jpeg2k_decode,
    "jpegxl": imagecodecs.jpegxl_decode,
}


@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 9, 7)], ids=["grey", "colour"])
@pytest.mark.parametrize("name", list(complexity.CODECS))
def test_a_codec_is_lossless_and_its_length_that_of_the_file(name, shape, monkeypatch):
    pixels, files = complexity.pixels_of(np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)), []
    kept = lambda function: lambda *args, **settings: files.append(function(*args, **settings)) or files[-1]  # noqa: E731
    for encode in ("jpeg2k_encode", "jpegxl_encode"):
        monkeypatch.setattr(imagecodecs, encode, kept(getattr(imagecodecs, encode)))

    class File(io.BytesIO):
        def tell(self):
            files.append(self.getvalue())
            return super().tell()

    monkeypatch.setattr(complexity.io, "BytesIO", File)
    length = complexity.CODECS[name](pixels)
    monkeypatch.undo()
    data = files[-1]
    assert length == len(data)
    decoded = DECODE[name](data)
    np.testing.assert_array_equal(decoded if decoded.ndim == pixels.ndim else decoded[..., 0], pixels)


def test_code_lengths_are_in_nats_and_grow_with_what_there_is_to_say():
    rng = np.random.RandomState(0)
    images = np.stack([np.full((3, 16, 16), 5, np.uint8), rng.randint(0, 256, (3, 16, 16)).astype(np.uint8)])
    lengths = complexity.lengths(images)
    assert list(lengths) == list(complexity.CODECS) == list(complexity.versions())
    assert lengths.loc[0, "png"] == pytest.approx(8 * np.log(2) * complexity.CODECS["png"](complexity.pixels_of(images[0])))
    assert (lengths.loc[1] > lengths.loc[0]).all()
    assert (lengths.loc[1] >= 768 * np.log(256)).all()  # noise cannot be compressed


def test_whitened_statistics_are_uncorrelated_and_directions_that_do_not_vary_stay_at_zero():
    rng = np.random.RandomState(0)
    a, b = rng.normal(5.0, 3.0, (2, 400))
    reference = np.stack([a, a + 0.1 * b, 7 * np.ones(400), -2 * a], axis=1)
    whiten, directions = whitening(reference)
    assert directions == 2
    np.testing.assert_allclose(np.cov(whiten(reference), rowvar=False), np.diag([0.0, 0.0, 1.0, 1.0]), atol=0.01)


def test_densities_do_not_depend_on_the_units_of_statistics():
    rng = np.random.RandomState(0)
    reference, x = rng.normal(size=(200, 3)), 2.0 * rng.normal(size=(30, 3))
    for make in (kde, one_class_svm):
        np.testing.assert_allclose(make(reference * [1, 50, 0.01] + 9)(x * [1, 50, 0.01] + 9), make(reference)(x), rtol=1e-6)


def test_the_kernel_density_is_the_mean_of_normals_of_scott_s_width():
    reference = np.random.RandomState(0).normal(size=(50, 2))
    y = whitening(reference)[0](reference)
    density = np.mean([multivariate_normal(point, 50 ** (-2.0 / 6.0)).pdf(y[:5]) for point in y], axis=0)
    np.testing.assert_allclose(kde(reference)(reference[:5]), -np.log(density), rtol=1e-6)


def test_the_gaussian_is_that_of_the_covariance_where_there_are_many_images():
    mixing = np.array([[2.0, 0.0], [5.0, 0.3]])
    reference = np.random.RandomState(0).normal(size=(20_000, 2)) @ mixing + 7.0
    normal = multivariate_normal(reference.mean(axis=0), np.cov(reference, rowvar=False))
    found, expected = gaussian(reference)(reference[:50]), -normal.logpdf(reference[:50])
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=0.02)


def test_the_gaussian_stands_more_statistics_than_images_and_those_that_do_not_vary():
    reference = np.random.RandomState(0).normal(size=(20, 50))
    reference[:, 3] = 4.0
    score = gaussian(reference)
    near, far = np.random.RandomState(1).normal(size=(2, 30, 50)) * np.array([[[1.0]], [[3.0]]])
    near[..., 3] = far[..., 3] = 4.0
    assert np.isfinite(score(near)).all()
    assert score(far).min() > np.median(score(near))


def listed(folder, **uses):
    """Write a params.yaml with one benchmark, whose pairs have these uses."""
    toy = {"in": "fashion_mnist", "out": ["notmnist", "noise"]}
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"benchmarks": {"toy": toy}, "rank": {"development": {}, "near": {}} | uses})
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the tables of two benchmarks, one of which params.yaml has not."""
    names = {"toy": ["notmnist", "noise"], "gone": ["notmnist"]}
    listed(tmp_path)
    (tmp_path / "metrics/scores").mkdir(parents=True)
    for name, outs in names.items():
        samples = {**SAMPLES, "notmnist": SAMPLES["far"], "noise": SAMPLES["near"]}
        found = results.compare(["mean", "typicality"], samples, "none", outs, 100, 0)
        found.insert(0, "benchmark", name)
        found.to_csv(tmp_path / f"metrics/scores/{name}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pair_is_far_unless_it_is_listed_or_its_out_set_made():
    found = params.load(ROOT / "params.yaml")["rank"]
    assert rank.use_of("fashion_mnist", "mnist", found) == rank.use_of("cifar10", "noise", found) == "development"
    assert rank.use_of("cifar10", "cifar100", found) == "near"
    assert rank.use_of("fashion_mnist", "notmnist", found) == rank.use_of("mine", "holidays", found) == "far"


@pytest.mark.parametrize("use", ["far", "near", "development"])
def test_the_uses_of_pairs_are_ranked_apart(project, use):
    listed(project, **({} if use == "far" else {use: {"fashion_mnist": ["notmnist"]}}))
    rank.main()
    table = pd.read_csv("metrics/scores.csv")
    assert dict(zip(table["out"], table["use"], strict=True)) == {"notmnist": use, "noise": "development"}
    expected = {one: {} for one in ("far", "near", "development")}
    for one, rows in table.groupby("use"):
        expected[one] = {"none": pytest.approx(rows.groupby("score")["auroc"].mean().to_dict(), abs=1e-4)}
    assert json.loads((project / "metrics/ranking.json").read_text()) == expected


def test_rank_gathers_known_benchmarks_and_ranks_far_pairs_apart(project):
    rank.main()
    table = pd.read_csv("metrics/scores.csv")
    assert list(table.columns) == ["benchmark", "model", "score", "out", "use", *results.COLUMNS[3:]]
    assert set(table["benchmark"]) == {"toy"}
    assert set(table["out"]) == {"notmnist", "noise"}
    worst = table[table["out"] == "notmnist"].set_index("score")["auroc"].to_dict()
    assert json.loads((project / "metrics/ranking.json").read_text())["far"] == {"none": pytest.approx(worst)}
    first = (project / "plots/scores/scores.png").read_bytes()
    rank.main()
    assert (project / "plots/scores/scores.png").read_bytes() == first


def test_rank_gathers_what_variants_and_analyses_gave_and_does_not_rank_what_lacks_a_pair(project):
    rank.main()
    before = json.loads((project / "metrics/ranking.json").read_text())["far"]
    table = pd.read_csv(project / "metrics/scores/toy.csv").query("score == 'mean'").assign(model="glow", score="waic")
    for name, found in (("glow_seeds", table[table["out"] == "noise"]), ("vae_seeds", table.assign(model="vae"))):
        (project / "metrics/scores/toy" / name).mkdir(parents=True)
        found.to_csv(project / "metrics/scores/toy" / name / "scores.csv", index=False)
    (project / "metrics/scores/toy/glow_seeds/seeds.csv").write_text("benchmark\ntoy\n")
    rank.main()
    gathered = pd.read_csv("metrics/scores.csv")
    assert set(gathered["model"]) == {"none", "glow", "vae"}
    assert gathered["auroc"].notna().all()
    assert json.loads((project / "metrics/ranking.json").read_text())["far"] == {
        "none": before["none"],
        "vae": {"waic": table.set_index("out").loc["notmnist", "auroc"]},
    }


def test_a_pair_counts_once_and_is_the_first_benchmark_s():
    found = pd.DataFrame({"benchmark": ["a", "a", "b", "b", "c"], "out": ["x", "noise", "x", "y", "x"]})
    inside = {"a": "cifar10", "b": "cifar10", "c": "svhn"}
    assert rank.pairs(found, inside) == [("a", "x"), ("a", "noise"), ("b", "y"), ("c", "x")]


def test_rank_draws_a_map_also_where_no_set_is_of_pictures(project):
    table = pd.read_csv(project / "metrics/scores/toy.csv")
    table[table["out"] == "noise"].to_csv(project / "metrics/scores/toy.csv", index=False)
    rank.main()
    assert json.loads((project / "metrics/ranking.json").read_text())["far"] == {}
    assert [path.name for path in (project / "plots/scores").iterdir()] == ["scores.png"]  # an overview has far and near pairs
    assert (project / "plots/scores/scores.png").stat().st_size > 5000


def test_rows_that_lack_a_pair_follow_the_ranked_ones_and_an_overview_has_each_score_once_but_every_log_p():
    columns = ["benchmark", "model", "score", "out", "use", "auroc"]
    cells = [
        ("a", "vae", "mean", "x", "far", 0.6), ("b", "vae", "mean", "x", "far", 0.7),
        ("a", "glow", "waic", "x", "far", 0.2), ("a", "vae", "waic", "x", "far", 0.9), ("a", "vae", "regret", "n", "near", 0.8),
        ("a", "glow", "log_prob", "x", "far", 0.1), ("b", "glow", "log_prob", "x", "far", 0.1),
        ("a", "vae", "log_prob", "x", "far", 0.3), ("b", "vae", "log_prob", "x", "far", 0.3),
    ]  # fmt: skip
    table = pd.DataFrame(cells, columns=columns)
    ranked = results.ranking(table, [("a", "x"), ("b", "x")])
    found = rank.rows(table, ranked)
    first, others = [("vae", "mean"), ("vae", "log_prob"), ("glow", "log_prob")], [("vae", "waic"), ("glow", "waic")]
    assert found == [*first, *others, ("vae", "regret")]
    assert rank.best_of_each(found) == [*first, ("vae", "waic"), ("vae", "regret")]


def rows_of(values, model="vae", unit="bits_per_dim"):
    return results.likelihood_rows(model, unit, "test", np.arange(len(values)), np.array(values))


def test_a_histogram_integrates_to_the_share_of_images_it_covers():
    table = results.histogram(rows_of([*RNG.normal(3.0, 0.5, 75), *[1e9] * 25]))
    assert (table["density"] * results.BIN_WIDTH).sum() == pytest.approx(0.75, abs=1e-3)
    assert len(table) < 200  # a bound may be anything: the table stays small
    mean = (table["bits_per_dim"] * table["density"]).sum() / table["density"].sum()
    assert mean == pytest.approx(3.0, abs=0.2)


def test_sets_without_a_bin_and_other_units_leave_the_histogram_empty():
    table = pd.concat([rows_of([1e9, 1e8]), rows_of([90.0, 100.0], "vae_binarised", "binary_bits_per_dim")])
    assert results.histogram(table).empty


def test_a_thinned_roc_curve_has_its_ends_and_its_area():
    inside, outside = RNG.normal(0.0, 1.0, 2000), RNG.normal(1.0, 1.0, 2000)
    table = results.roc_table({"noise": metrics.roc(inside, outside)})
    assert len(table) <= results.ROC_POINTS
    assert table[["fpr", "tpr"]].iloc[0].tolist() == [0.0, 0.0]
    assert table[["fpr", "tpr"]].iloc[-1].tolist() == [1.0, 1.0]
    area = np.trapezoid(table["tpr"], table["fpr"])
    assert area == pytest.approx(metrics.auroc(inside, outside), abs=0.002)


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\nbenchmark,model\n", "benchmark,model\nother,glow\n", "a\n1,2\n"])
def test_what_a_merge_has_left_is_no_table_of_scores(tmp_path, text):
    file = tmp_path / "mnist.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=r"mnist\.csv is no table of mnist: finish the merge, or take the committed one"):
        rank.collect({"benchmarks": {"mnist": {}}}, tmp_path)
    file.write_text("benchmark,model\nmnist,glow\n")
    assert rank.collect({"benchmarks": {"mnist": {}}}, tmp_path).to_dict("list") == {"benchmark": ["mnist"], "model": ["glow"]}


def test_the_mean_over_pairs_is_that_and_the_best_score_comes_first():
    pairs, aurocs = [("a", "x"), ("b", "y"), ("b", "z")], {"mean": (0.0, 0.1, 0.5), "waic": (0.9, 0.9, 0.6)}
    cells = {(benchmark, "vae", score, out): value for score, values in aurocs.items()
             for (benchmark, out), value in zip(pairs, values, strict=True)}  # fmt: skip
    found = results.means(table(cells), pairs)
    assert found.to_dict("list") == {"model": ["vae", "vae"], "score": ["waic", "mean"], "mean": [0.8, 0.2]}


def test_scores_of_the_same_worst_pair_are_ranked_by_their_names():
    cells = {("a", model, score, "x"): 0.5 for model in ("vae", "glow") for score in ("waic", "mean")}
    ranked = results.ranking(table(cells), [("a", "x")])
    expected = [("glow", "mean"), ("glow", "waic"), ("vae", "mean"), ("vae", "waic")]
    assert list(zip(ranked["model"], ranked["score"], strict=True)) == expected


def test_a_bin_stands_at_its_centre():
    found = results.histogram(rows_of([3.01, 3.09, 3.15, 3.15])).set_index("bits_per_dim")["density"]
    assert found.to_dict() == {2.95: 0.0, 3.05: 5.0, 3.15: 5.0, 3.25: 0.0}


def test_only_so_many_images_are_fitted_on_as_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("val", "test"):
        images.save(tmp_path / f"data/processed/toy/in/{name}.npy", np.zeros((9, 1, 4, 4), np.uint8))
    index = {name: np.arange(9) for name in ("val", "test")}
    some, every = (results.Compared("toy", index, 5, 0, reference) for reference in (3, None))
    assert [len(each.index["val"]) for each in (some, every)] == [3, 9]
    np.testing.assert_array_equal(some.index["val"], every.index["val"][:3])
    np.testing.assert_array_equal(some.index["test"], every.index["test"])


def test_codecs_are_set_as_when_the_committed_detectors_were_calibrated():
    """Other settings give other lengths, and with them a wrong p, though no version has changed."""
    committed = json.loads((ROOT / "metrics/fashion_mnist/ood/codecs.json").read_text())
    if complexity.versions() != committed:
        pytest.skip("these lengths are those of the committed versions")
    sheet = np.asarray(Image.open(ROOT / "examples/clothes.png", formats=["PNG"]))
    clothes = sheet.reshape(5, 28, 20, 28).swapaxes(1, 2).reshape(100, 1, 28, 28)
    bytes_ = (complexity.lengths(clothes[:20]).sum() / complexity.NATS_PER_BYTE).round().astype(int)
    assert bytes_.to_dict() == {"png": 9686, "webp": 8628, "jpeg2000": 12326, "jpegxl": 7986}
