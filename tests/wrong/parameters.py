"""Wrong values in params.yaml."""

from tests.wrong.project import BENCHMARK


def unknown_key(project):
    project.parameter("  lr: 0.005", "  learning_rate: 0.005\n  lr: 0.005")


def missing_key(project):
    project.parameter("  warmup: 0.05\n", "")


def wrong_type(project):
    project.parameter("  lr: 0.005", "  lr: fast")


def not_a_number(project):
    project.parameter("  lr: 0.005", "  lr: .nan")


def negative(project):
    project.parameter("seed: 0", "seed: -1")


def too_large(project):
    project.parameter("  batch_size: 16", "  batch_size: 100000")


def not_yaml(project):
    project.change("params.yaml", "seed: 0", "seed: [0")
    project.stage("check.py")


def unknown_benchmark(project):
    project.parameter("run:\n- mnist_5k", "run:\n- mnist_6k")


def unknown_set(project):
    project.parameter("    - noise\n", "    - noises\n")


def in_set_as_out_set(project):
    project.parameter("    - noise\n", "    - mnist_5k\n")


def made_in_set(project):
    project.parameter("    in: mnist_5k\n    out:\n    - noise\n", "    in: noise\n    out:\n")


def too_many_scales(project):
    project.parameter("  scales: 2", "  scales: 3")


def two_shapes(project):
    project.parameter("    - noise\n", "    - svhn\n")


def variant_of_a_number(project):
    project.parameter("  vae_bernoulli: {", "  vae_1: {")


def family_without_a_folder(project):
    project.parameter("  vae_bernoulli: {family: vae", "  vae_bernoulli: {family: made")


def unknown_variant(project):
    project.parameter("run_variants: []", "run_variants: [glow_deep]")


def key_twice(project):
    project.change("params.yaml", "plot:\n", "seed: 1\nplot:\n")
    project.stage("check.py")


def list_without_brackets(project):
    project.run("python", "-m", "dvc", "exp", "run", "-S", "run=mnist_5k")


def no_parameters(project):
    (project.folder / "params.yaml").rename(project.folder / "parameters.yaml")
    project.stage("train.py", "vae", *BENCHMARK)


def name_of_a_benchmark(project):
    project.parameter("benchmarks:\n  mnist_5k:", "benchmarks:\n  a b:")
