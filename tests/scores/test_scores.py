"""Laws that every out-of-distribution score of SCORES keeps."""

import functools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import OneClassSVM

from likelihood import scores
from likelihood.scores import SCORES, complexity
from likelihood.scores.density import RESOLUTION, logs, one_class_svm, positive, units, whitening
from likelihood.scores.likelihood import Typicality

COMPANIONS = ("log_prob@1", "log_prob@2", "log_prob@background", "log_prob@local")
ONE_MODEL = [name for name in SCORES if scores.get(name).needs]
NO_MODEL = [name for name in SCORES if not scores.get(name).needs]
every_score = pytest.mark.parametrize("name", SCORES)


def sample(n=12, shape=(1, 8, 8), seed=0):
    """Random images of varied roughness, with the statistics of all families and a constant one."""
    images, lengths, statistics = made(n, shape, seed)
    return scores.Sample(images, lengths.copy(), statistics.copy())


@functools.cache  # four codecs take their time
def made(n, shape, seed):
    rng = np.random.RandomState(seed)
    width = rng.randint(2, 256, (n, 1, 1, 1))
    images = (rng.randint(0, 256, (n, *shape)) % width).astype(np.uint8)
    names = ("log_prob", "log_pz", "ladj", "reconstruction", *COMPANIONS)
    columns = {name: rng.normal(-300.0, 20.0, n) for name in names}
    columns |= {name: rng.normal(12.0, 2.0, n) for name in ("gradient_norm", "gradient_norm.a", "gradient_norm.b")}
    positive = ("residual_ks", "residual_variance", "residual_white", "expected", "spread", "error", "mean_norm", "std_norm")
    columns |= {name: rng.gamma(9.0, 1.0, n) for name in positive}
    columns |= {name: rng.normal(0.0, 1.0, n) for name in ("surprise", "residual_mean", "input_gradient", "score_statistic")}
    columns |= {"last_level": rng.normal(-90.0, 9.0, n), "perfect": rng.normal(-9.0, 0.5, n)}
    columns["lid"] = rng.randint(50, 70, n)
    statistics = pd.DataFrame({**columns, "latent_norm": rng.uniform(5.0, 9.0, n), "regret": rng.gamma(5.0, 9.0, n), "same": 1.0})
    images.flags.writeable = False
    return scores.Sample(images, complexity.lengths(images), statistics)


def rows(whole, index):
    images, *tables = whole
    return scores.Sample(images[index], *(table.iloc[index].reset_index(drop=True) for table in tables))


def fitted(name, reference):
    return scores.get(name).fit(reference)


def test_the_list_has_the_scores_of_one_model_and_those_without():
    assert {"log_prob", "complexity", "dose_kde", "dose_svm", "code_kde", "typicality", "typicality_25"} <= set(ONE_MODEL)
    assert {"png_size", "png_distance", "pixel_variance", "total_variation", "mean"} <= set(NO_MODEL)


def test_a_score_is_applied_to_the_models_that_have_what_it_needs():
    assert set(scores.applicable([])) == set(NO_MODEL)
    assert {"latent_norm", "log_pz"}.isdisjoint(scores.applicable(["log_prob", "kl"]))
    more = {name for name in ONE_MODEL if not set(scores.get(name).needs) <= {"log_prob", "log_pz", "latent_norm"}}
    assert {"waic", "local_ratio", "gradient_norm", "gradient_density", "likelihood_regret", "residual_kde", "surprise"} <= more
    assert set(scores.applicable(["log_prob", "log_pz", "latent_norm"])) == set(ONE_MODEL) - more
    assert set(scores.applicable(list(sample().statistics))) == set(ONE_MODEL)


def test_what_is_added_to_a_model_s_statistics_brings_only_the_scores_that_need_it():
    assert scores.needing(["log_prob@1", "log_prob@2"], ["log_prob", "log_prob@1", "log_prob@2"]) == [
        "disagreement",
        "ensemble",
        "waic",
    ]
    assert scores.needing(["log_prob@local"], ["log_prob", "log_prob@local"]) == ["local_ratio"]
    assert scores.needing(["regret"], ["log_prob", "regret"]) == ["likelihood_regret"]
    assert scores.needing(["kl@1"], ["log_prob", "kl", "kl@1"]) == []


@every_score
def test_a_score_is_built_anew_and_what_it_learns_ends_in_an_underscore(name):
    score, before = scores.get(name), vars(scores.get(name))
    assert score.fit(sample(30, seed=1)) is score
    learned = vars(score).keys() - before.keys()
    assert all(key.endswith("_") for key in learned)
    assert {key: value for key, value in vars(score).items() if key not in learned} == before
    assert vars(scores.get(name)) == before, "what one score has learned is not in the next"
    again = score.fit(sample(40, seed=2)).score(sample(50))
    np.testing.assert_array_equal(again, fitted(name, sample(40, seed=2)).score(sample(50)))


@every_score
def test_a_score_is_fitted_on_numbers_and_never_on_images(name):
    reference, whole = sample(30, seed=1), sample(50)
    bare = fitted(name, reference._replace(images=np.empty((30, 0))))
    np.testing.assert_array_equal(bare.score(whole), fitted(name, reference).score(whole))


@every_score
def test_a_score_has_a_title_of_its_own_and_names_codecs_that_exist(name):
    score = scores.get(name)
    assert sum(scores.get(other).title == score.title for other in SCORES) == 1
    assert set(score.coded) <= set(complexity.CODECS)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)], ids=["grey", "colour"])
@every_score
def test_a_score_is_one_finite_number_an_image_or_batch(name, shape):
    score = fitted(name, sample(30, shape, seed=1))
    values = score.score(sample(52, shape))
    assert values.shape == (52 // score.batch,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()


@every_score
def test_a_score_depends_only_on_its_own_images_and_not_on_their_order(name):
    score, whole = fitted(name, sample(30, seed=1)), sample(50)
    values, size = score.score(whole), scores.get(name).batch
    groups = [np.arange(k * size, (k + 1) * size) for k in np.random.RandomState(2).permutation(50 // size)]
    order = np.concatenate([np.random.RandomState(3).permutation(group) for group in groups])
    expected = values[[group[0] // size for group in groups]]
    np.testing.assert_allclose(score.score(rows(whole, order)), expected)
    np.testing.assert_allclose(np.concatenate([score.score(rows(whole, group)) for group in groups]), expected)


@pytest.mark.slow
@every_score
def test_a_score_survives_a_reference_of_images_all_alike_and_images_far_from_it(name):
    images = np.full((30, 1, 8, 8), 7, np.uint8)
    statistics = pd.DataFrame(dict.fromkeys(sample().statistics.columns, -5.0), index=range(30))
    score, far = fitted(name, scores.Sample(images, complexity.lengths(images), statistics)), sample(50)
    for column in far.statistics.columns:
        far.statistics[column] *= 1e6
    assert np.isfinite(score.score(far)).all()
    assert np.isfinite(score.score(scores.Sample(images, complexity.lengths(images), statistics))).all()


@every_score
def test_a_score_reads_no_codes_but_those_it_names(name):
    whole, reference = sample(50), sample(30, seed=1)
    named = list(scores.get(name).coded)
    few = [part._replace(codes=part.codes[named]) for part in (whole, reference)]
    np.testing.assert_array_equal(fitted(name, few[1]).score(few[0]), fitted(name, reference).score(whole))


@pytest.mark.parametrize("name", NO_MODEL)
def test_a_score_without_a_model_needs_no_statistics(name):
    none = pd.DataFrame(index=range(50))
    reference, whole = sample(30, seed=1), sample(50)
    bare = fitted(name, reference._replace(statistics=none[:30])).score(whole._replace(statistics=none))
    np.testing.assert_array_equal(bare, fitted(name, reference).score(whole))


@pytest.mark.parametrize("name", scores.pooling(sample().statistics))
def test_a_score_that_pools_uses_every_model(name):
    def pooled(part, shift):
        table = pd.DataFrame({"log_prob_a": part.statistics["log_prob"], "log_prob_b": part.statistics["log_pz"] + shift})
        return part._replace(statistics=table)

    score = fitted(name, pooled(sample(200, seed=1), 0.0))
    near, far = (score.score(pooled(sample(50), shift)) for shift in (0.0, 150.0))
    assert (far > near).mean() > 0.9


@pytest.mark.parametrize("name", [name for name in ONE_MODEL if scores.get(name).batch == 1])
def test_an_image_far_less_likely_than_the_in_set_is_outlying(name):
    reference, near = sample(300, seed=1), sample(50)
    scales = {column: 1.0 if column in ("log_prob@background", "log_prob@local") else 3.0 for column in near.statistics}
    far = near._replace(statistics=near.statistics * pd.Series(scales))  # those two know images that the model does not
    score = fitted(name, reference)
    assert np.median(score.score(far)) > np.median(score.score(near))


def test_higher_is_more_outlying_for_the_one_sided_scores():
    flat, rough = np.full((1, 8, 8), 9, np.uint8), np.random.RandomState(0).randint(0, 256, (1, 8, 8)).astype(np.uint8)
    images = np.stack([rough, flat])  # the second is small as a file, flat, smooth and dark
    statistics = pd.DataFrame({"log_prob": [-100.0, -900.0], "log_pz": [-10.0, -90.0], "latent_norm": [8.0, 20.0]})
    pair = scores.Sample(images, complexity.lengths(images), statistics)
    for name in ("log_prob", "log_pz", "latent_norm", "complexity", "png_size", "pixel_variance", "total_variation", "mean"):
        first, second = fitted(name, pair).score(pair)
        assert second > first, name


def test_scores_worked_out_by_hand():
    images = np.array([[[[0, 3], [5, 9]]]], np.uint8)
    codes = pd.DataFrame({"png": [70.0], "webp": [40.0], "jpeg2000": [90.0], "jpegxl": [50.0]})
    one = scores.Sample(images, codes, pd.DataFrame({"log_prob": [-100.0], "log_pz": [-30.0], "latent_norm": [3.5]}))
    reference = one._replace(statistics=pd.DataFrame({"log_prob": [-90.0, -70.0]}), codes=pd.DataFrame({"png": [1, 60, 900]}))
    expected = {"log_prob": 100.0, "typicality": 20.0, "complexity": 60.0, "latent_norm": 1.5, "log_pz": 30.0}
    expected |= {"png_size": -70.0, "png_distance": 10.0, "total_variation": -(5 + 6 + 3 + 4), "mean": -4.25}
    for name, value in expected.items():
        assert fitted(name, reference).score(one) == pytest.approx([value]), name


def test_scores_of_variants_worked_out_by_hand():
    columns = {"log_prob": [-100.0], "log_prob@1": [-103.0], "log_prob@2": [-109.0], "kl@1": [7.0]}
    table = pd.DataFrame({**columns, "log_prob@background": [-130.0], "log_prob@local": [-90.0]})
    one = sample(1)._replace(statistics=table)
    expected = {"waic": 104.0 + 21.0, "background_ratio": -30.0, "local_ratio": 10.0}
    expected["ensemble"] = 100.0 + np.log(3.0) - np.log1p(np.exp(-3.0) + np.exp(-9.0))
    for name, value in expected.items():
        assert scores.get(name).score(one) == pytest.approx([value]), name


def test_scores_of_residuals_worked_out_by_hand():
    reference = sample(3)._replace(statistics=pd.DataFrame({"surprise": [-1.0, 0.0, 4.0]}))  # 1 on average
    pair = pd.DataFrame({"surprise": [-2.0, 3.5], "log_prob": [-100.0, -80.0], "perfect": [-9.5, -12.0]})
    expected = {"surprise": [1.0 + 2.0, 3.5 - 1.0], "corrected_log_prob": [100.0 - 9.5, 80.0 - 12.0]}
    for name, values in expected.items():
        assert fitted(name, reference).score(sample(2)._replace(statistics=pair)) == pytest.approx(values), name


def test_the_effective_number_of_seeds_worked_out_by_hand():
    nats = np.array([*np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 4.0]]), [0.0, 300.0, 0.0]]) - 7000.0  # shares of 1/8, 2/8, 5/8 …
    table = pd.DataFrame(nats, columns=["log_prob", "log_prob@1", "log_prob@2"]).assign(**{"log_prob@local": 0.0})
    found = scores.get("disagreement").score(sample(3)._replace(statistics=table))
    assert found == pytest.approx([-64 / (1 + 4 + 25), -3.0, -1.0])


def test_the_combined_test_worked_out_by_hand():
    # The mean is -30, and the distances from it are 20, 10, 0 and 30.
    known = pd.DataFrame({"log_prob": [-10.0, -20.0, -30.0, -60.0], "score_statistic": [4.0, 1.0, 3.0, 2.0]})
    # Distances of 15, below and above, 20, as one of the reference has, 0 and 99; shares of the four, and the image itself.
    table = pd.DataFrame({"log_prob": [-45.0, -15.0, -50.0, -30.0, -129.0], "score_statistic": [4.0, 2.5, 0.0, 1.0, 9.0]})
    typicality, score_test = [3 / 5, 3 / 5, 3 / 5, 5 / 5, 1 / 5], [2 / 5, 3 / 5, 5 / 5, 5 / 5, 1 / 5]
    expected = [-2.0 * (math.log(p) + math.log(q)) for p, q in zip(typicality, score_test, strict=True)]
    found = fitted("combined_test", sample(4)._replace(statistics=known)).score(sample(5)._replace(statistics=table))
    assert found == pytest.approx(expected)


def test_the_likelihood_path_worked_out_by_hand():
    # One of each five values is far off: above, below, above. There the skewed tail is.
    path = {"error": [1, 2, 3, 4, 20], "mean_norm": [1, 17, 18, 19, 20], "std_norm": [10, 11, 12, 13, 30]}
    score = fitted("likelihood_path", sample(5)._replace(statistics=pd.DataFrame(path)))
    table = pd.DataFrame({"error": [4.5, 0.0, 20.0], "mean_norm": [0.0, 0.5, 25.0], "std_norm": [12.0, 9.0, 30.5]})
    # The shares of the five, and the image itself, that are at most, and at least, as large; ties are on both sides.
    lower = [[5 / 6, 1 / 6, 4 / 6], [1 / 6, 1 / 6, 1 / 6], [6 / 6, 6 / 6, 6 / 6]]
    upper = [[2 / 6, 6 / 6, 4 / 6], [6 / 6, 6 / 6, 6 / 6], [2 / 6, 1 / 6, 1 / 6]]
    skewed = [[2 / 6, 1 / 6, 4 / 6], [6 / 6, 1 / 6, 6 / 6], [2 / 6, 6 / 6, 1 / 6]]
    sums = -np.log([lower, upper, skewed]).sum(axis=2)
    assert sums.argmax(axis=0).tolist() == [2, 0, 1]  # each of the three sums is the largest once
    expected = np.log([216 / (2 * 1 * 4), 216 / (1 * 1 * 1), 216 / (2 * 1 * 1)])
    assert sums.max(axis=0) == pytest.approx(expected)
    assert score.score(sample(3)._replace(statistics=table)) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "fifth"), [("ks_10", 2), ("ks_25", 5)])
def test_kolmogorov_smirnov_of_a_batch_worked_out_by_hand(name, fifth):
    score = fitted(name, sample(5)._replace(statistics=pd.DataFrame({"log_prob": [-50.0, -40.0, -30.0, -20.0, -10.0]})))
    fifths = [
        [-35.0, -15.0, -15.0, -15.0, -15.0],  # below -15 the reference has 4/5, the batch 1/5
        [-25.0, -55.0, -55.0, -55.0, -55.0],  # at -55 the batch has 4/5, the reference nothing
        [-30.0, -10.0, -50.0, -20.0, -40.0],  # the reference in another order
    ]
    log_prob = [*np.repeat(fifths, fifth), *[0.0] * (5 * fifth - 1)]  # and a batch that lacks an image
    found = score.score(sample(len(log_prob))._replace(statistics=pd.DataFrame({"log_prob": log_prob})))
    assert found == pytest.approx([4 / 5 - 1 / 5, 4 / 5 - 0.0, 0.0])


def test_an_image_must_be_likely_and_of_a_high_local_dimension():
    reference = sample(9)._replace(statistics=pd.DataFrame({"log_prob": np.arange(9.0), "lid": np.arange(10, 100, 10)}))
    table = pd.DataFrame({"log_prob": [4.5, 99.0, -1.0, 99.0, 2.0], "lid": [60, 5, 999, 999, 30]})
    score = fitted("lid_log_prob", reference).score(sample(5)._replace(statistics=table))
    assert score == pytest.approx([-0.6, -0.1, -0.1, -1.0, -0.4])


def test_the_density_of_gradient_norms_is_two_sided_and_sees_layers_that_the_norm_hides():
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"gradient_norm": 9.0, **{f"gradient_norm.{layer}": rng.normal(5.0, 1.0, 400) for layer in "abc"}})
    score = fitted("gradient_density", sample(400)._replace(statistics=table))
    low, high, apart = (table.copy() for _ in range(3))
    low["gradient_norm.a"] -= 4.0
    high["gradient_norm.b"] += 4.0
    apart["gradient_norm.a"], apart["gradient_norm.b"] = 8.0, 2.0
    normal = np.median(score.score(sample(400)._replace(statistics=table)))
    for other in (low, high, apart):
        assert np.median(score.score(sample(400)._replace(statistics=other))) > normal + 2.0


def test_typicality_of_a_batch_is_that_of_its_mean():
    for name in SCORES:
        score = scores.get(name)
        if isinstance(score, Typicality):
            score.fit(sample(30, seed=1))
            nats = -sample(55).statistics["log_prob"].to_numpy()[: 55 // score.batch * score.batch]
            expected = np.abs(nats.reshape(-1, score.batch).mean(axis=1) + sample(30, seed=1).statistics["log_prob"].mean())
            np.testing.assert_allclose(score.score(sample(55)), expected)
    assert {scores.get(name).batch for name in SCORES} == {1, 2, 10, 25}


def test_scores_of_pixels_that_fall_worked_out_by_hand():
    images = np.array([[[[9, 0], [200, 3]]]], np.uint8)
    one = sample(1)._replace(images=images)
    assert scores.get("total_variation").score(one) == pytest.approx([-(191 + 3 + 9 + 197)])
    assert scores.get("pixel_variance").score(one) == pytest.approx([-(81 + 40_000 + 9) / 4 + 53.0**2])


def test_a_spread_of_few_roundings_is_no_variation():
    rounding = np.array([2.0, 2.0])
    np.testing.assert_array_equal(units(np.array([199.0, 201.0]), rounding), [20_000.0, 201.0])
    rng = np.random.RandomState(0)
    reference = np.stack([rng.normal(size=300), 1000.0 * (1 + 30 * RESOLUTION * rng.normal(size=300))], axis=1)
    assert whitening(reference)[1] == 1


def test_the_machine_is_that_of_scikit_learn_which_leaves_out_a_tenth():
    reference = np.random.RandomState(0).normal(size=(200, 3)) @ np.array([[2, 1, 0], [0, 1, 0], [0, 3, 9.0]])
    y = whitening(reference)[0](reference)
    expected = -OneClassSVM(nu=0.1, gamma=1 / 3).fit(y).decision_function(y)
    np.testing.assert_allclose(one_class_svm(reference)(reference), expected)
    assert (expected > 0).mean() == pytest.approx(0.1, abs=0.03)


def test_features_are_logarithms_of_lengths_and_of_what_is_positive():
    names = ["log_prob", "log_pz", "residual_ks", "residual_mean", "surprise", "expected", "input_gradient", "last_level",
             "perfect", "gradient_norm", "gradient_norm.a", "gradient_norm.b"]  # fmt: skip
    one = sample(50)._replace(statistics=sample(50).statistics[names])
    t = one.statistics
    log_p, codes = np.log(-t["log_prob"]), np.log(one.codes)
    residuals, others = (
        [np.log(t["residual_ks"]), t["residual_mean"], t["surprise"]],
        [np.log(t["expected"]), t["input_gradient"]],
    )
    expected = {
        "code_kde": [log_p, codes],
        "bare_code_kde": [codes],
        "residual_kde": [log_p, *residuals],
        "code_residual_kde": [log_p, *residuals, codes],
        "statistics_kde": [log_p, *residuals, *others],
        "gradient_density": [t["gradient_norm.a"], t["gradient_norm.b"]],
    }
    for name, parts in expected.items():
        np.testing.assert_allclose(scores.get(name).features(one), np.column_stack(parts), err_msg=name)
    own = [name for name in names if name in ("log_prob", "log_pz") or name.startswith("gradient_norm")]
    np.testing.assert_array_equal(scores.get("dose_kde").features(one), t[own])
    np.testing.assert_allclose(logs(pd.DataFrame({"a": [-3.0, 0.5, math.e]})), [[0.0], [0.0], [1.0]])
    np.testing.assert_allclose(positive(pd.DataFrame({"residual_ks": [0.0], "surprise": [-2.0]})), [[math.log(RESOLUTION), -2.0]])
