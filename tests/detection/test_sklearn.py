"""scikit-learn's own checks of estimators, those that apply to a detector of images; for each of the others, why it does not.

The checks call an estimator of rows of numbers. `Rows` makes an image one value high of each and asks a Detector.
"""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.estimator_checks import estimator_checks_generator

from likelihood.detection import fit
from likelihood.detection.detector import Detector
from tests.clone import small_parameters


class Rows(OutlierMixin, BaseEstimator):
    """A Detector of rows of numbers, which it rounds to an eighth."""

    def __init__(self, rate=0.2):
        self.rate = rate

    def images(self, X):
        """X (N, n) as images (N, 1, n), in the memory layout of X, and read-only where X is."""
        x = np.mod(np.rint(128 + 8 * np.asarray(X)), 256).astype(np.uint8)[:, None]
        x.flags.writeable = getattr(X, "flags", x.flags).writeable
        return x

    def fit(self, X, y=None):
        self.detector_ = Detector.fit(self.images(X), models=["vae"], held_out=0.7, progress=False)
        known = self.images(X)[:1]
        self.offset_ = (self.detector_.score_samples(known) - self.detector_.decision_function(known, self.rate)).item()
        return self

    def predict(self, X):
        return self.detector_.predict(self.images(X), self.rate)

    def decision_function(self, X):
        return self.detector_.decision_function(self.images(X), self.rate)

    def score_samples(self, X):
        return self.detector_.score_samples(self.images(X))


RUN = {
    "check_readonly_memmap_input",
    "check_f_contiguous_array_estimator",
    "check_estimators_pickle",
    "check_outliers_fit_predict",
    "check_outliers_train",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit1d",
    "check_fit2d_1feature",
}
PARAMETERS = "of parameters, which Rows has: a Detector is made by a call and cannot be changed, so there is none to copy or set"
UNFITTED = "of an estimator that is not fitted: there is no such Detector"
UINT8 = "of other types: a Detector takes uint8 alone, and Rows would convert (test_what_is_no_image_is_one_sentence)"
TAGS = "of tags, classes and a text that Rows has from scikit-learn"
WORDS = "of the words in an error: a Detector's are of images (test_what_cannot_be_fitted_is_one_sentence)"
COLUMNS = "of n_features_in_, the columns of a table: a Detector has a shape"
LEFT_OUT = {
    "check_estimator_cloneable": PARAMETERS,
    "check_no_attributes_set_in_init": PARAMETERS,
    "check_estimators_overwrite_params": PARAMETERS,
    "check_dont_overwrite_parameters": PARAMETERS,
    "check_do_not_raise_errors_in_init_or_set_params": PARAMETERS,
    "check_parameters_default_constructible": PARAMETERS,
    "check_get_params_invariance": PARAMETERS,
    "check_set_params": PARAMETERS,
    "check_estimators_fit_returns_self": "of an estimator that fits itself: Detector.fit returns a new one",
    "check_estimators_unfitted": UNFITTED,
    "check_fit_check_is_fitted": UNFITTED,
    "check_estimators_dtypes": UINT8,
    "check_complex_data": UINT8,
    "check_dtype_object": UINT8,
    "check_estimators_nan_inf": UINT8,
    "check_estimator_sparse_tag": UINT8,
    "check_estimator_sparse_array": UINT8,
    "check_estimator_sparse_matrix": UINT8,
    "check_positive_only_tag_during_fit": UINT8,
    "check_estimator_tags_renamed": TAGS,
    "check_valid_tag_types": TAGS,
    "check_mixin_order": TAGS,
    "check_estimator_repr": TAGS,
    "check_estimators_empty_data_messages": WORDS,
    "check_fit2d_1sample": WORDS,
    "check_fit2d_predict1d": WORDS,
    "check_n_features_in": COLUMNS,
    "check_n_features_in_after_fitting": COLUMNS,
    "check_array_api_input": "of arrays of other libraries: tensors are taken (test_every_kind_of_images_has_the_same_numbers)",
    "check_classifier_data_not_an_array": "of lists of numbers: a Detector takes a list for batches or paths",
    "check_fit_score_takes_y": "of labels: there are none",
    "check_pipeline_consistency": "of score and fit_transform: an outlier detector has neither",
    "check_non_transformer_estimators_n_iter": "of n_iter_ by max_iter: the length of a training is given, not found",
}
CHECKS = {}
for _, check in estimator_checks_generator(Rows()):
    CHECKS.setdefault(check.func.__name__, []).append(check)


def test_every_check_for_outlier_detectors_is_run_or_left_out_for_a_reason():
    assert sorted([*RUN, *LEFT_OUT]) == sorted(CHECKS), "a version of scikit-learn has others: decide about these"


@pytest.fixture
def brief(tmp_path, monkeypatch):
    """Settings with which a VAE is trained in few steps; in double precision, as the checks allow little rounding."""
    path = tmp_path / "small.yaml"
    path.write_text(small_parameters().replace("epoch_images: 256", "epoch_images: 64"))
    monkeypatch.setattr(fit, "DEFAULTS", path)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    "check",
    [pytest.param(check, id=f"{name}-{k}") for name in sorted(RUN & CHECKS.keys()) for k, check in enumerate(CHECKS[name])],
)
def test_a_check_of_scikit_learn_passes(check):
    check(Rows())


@pytest.mark.usefixtures("brief")
def test_no_call_changes_a_detector_or_the_images():
    x = np.random.default_rng(0).integers(0, 256, (30, 6, 5), dtype=np.uint8)
    detector, before = Detector.fit(x, models=["vae"], held_out=0.4, progress=False), x.copy()
    known, weights = dict(vars(detector)), {name: value.clone() for name, value in detector.models["vae"].state_dict().items()}
    for call in (detector.predict, detector.decision_function):
        call(x, 0.2)
    for call in (detector.score_samples, detector.p_values, detector.table, lambda x: detector.maps(x[:, None])):
        call(x)
    np.testing.assert_array_equal(x, before)
    assert vars(detector) == known
    assert all(torch.equal(value, weights[name]) for name, value in detector.models["vae"].state_dict().items())
