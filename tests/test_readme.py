"""README's overview of results: every natural pair, and a benchmark that has a pair again only with the models it changes."""

import readme

ROW = {"bits_per_dim": {"train": 3.0, "test": 3.1, "mnist": 2.0, "noise": 9.0}}
FOUND = {"auroc": 0.1, "auroc_low": 0.05, "auroc_high": 0.15}


def test_a_pair_that_comes_again_shows_only_what_its_benchmark_changes():
    summary = {model: {**ROW, "mnist": FOUND} for model in ("vae", "glow")} | {"images": {"mnist": 5000}}
    entry = {"in": "fashion_mnist", "out": ["mnist", "noise"], "vae": {"lr": 0.1}, "glow": {}}
    again = {**entry, "glow": {"coupling": "additive"}}
    lines = readme.overview({"one": (entry, summary), "two": (again, summary)}).splitlines()[2:]
    assert [line.split(" | ")[2] for line in lines] == ["VAE", "Glow", "Glow, coupling additive"]
    assert lines[0] == "| Fashion-MNIST | MNIST | VAE | 5,000 | ≤ 3.000 | ≤ 3.100 | ≤ 2.000 | 0.100 [0.050, 0.150] |  |"
    assert lines[1].endswith("| 2.958 / 1.833 |")  # the paper's Glow is set beside ours of the same kind only
    assert lines[2].endswith("|  |")
