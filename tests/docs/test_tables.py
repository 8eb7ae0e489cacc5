"""Tables of the pages: a difference between two sets is split without a rest."""

import math
import subprocess
import sys
import types

import pandas as pd
import pytest

from likelihood.common.params import MODELS
from likelihood.docs import scores, tables
from likelihood.models.shared import checkpoint
from likelihood.settings import schema
from tests.helpers import ROOT, table_rows

REGIONS = ["flat", "shaded", "edges"]


def regions(pixels, bits):
    return pd.DataFrame({"pixels": pixels, "bits_per_pixel": bits}, index=REGIONS)


def total(found):
    return (found["pixels"] * found["bits_per_pixel"].fillna(0.0)).sum()


@pytest.mark.parametrize(
    ("inside", "outside", "kinds", "cost"),
    [
        (regions([0.5, 0.5, 0.0], [0.0, 4.0, 8.0]), regions([0.75, 0.25, 0.0], [0.0, 4.0, 8.0]), -1.0, 0.0),
        (regions([0.5, 0.5, 0.0], [0.0, 4.0, 8.0]), regions([0.5, 0.5, 0.0], [1.0, 5.0, 9.0]), 0.0, 1.0),
        (regions([0.5, 0.25, 0.25], [0.5, 2.0, 6.0]), regions([0.25, 0.25, 0.5], [1.0, 3.0, 5.0]), 1.1875, 0.0625),
        (regions([1.0, 0.0, 0.0], [2.0, math.nan, math.nan]), regions([0.0, 0.0, 1.0], [math.nan, math.nan, 8.0]), 6.0, 0.0),
    ],
)
def test_a_difference_is_split_into_what_the_pixels_are_and_what_they_cost(inside, outside, kinds, cost):
    found = tables.split(inside, outside)
    assert found == pytest.approx((kinds, cost))
    assert sum(found) == pytest.approx(total(outside) - total(inside))


def test_the_table_of_maps_has_a_row_per_pair_and_model_and_ends_with_the_split():
    parts = [
        regions(pixels, bits).rename_axis("region").reset_index().assign(model=model, set=name)
        for model in ("vae", "glow")
        for name, pixels, bits in (("test", [0.5, 0.5, 0.0], [0.0, 4.0, 8.0]), ("mnist", [0.75, 0.25, 0.0], [0.0, 4.0, 8.0]))
    ]
    lines = tables.maps_table([("fashion_mnist", "mnist", pd.concat(parts))]).splitlines()
    assert len(lines) == 4
    for line, title in zip(lines[2:], ("VAE", "Glow"), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:3] == ["Fashion-MNIST → MNIST", title, "50 → 75"]
        assert cells[-3:] == ["-1.00", "-1.00", "+0.00"]


def test_tables_import_no_torch():
    code = "import sys; sys.path.insert(0, 'src'); import likelihood.docs.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_sign_stands_before_what_a_family_knows_a_lower_bound_for(monkeypatch):
    assert {model: tables.sign(model) for model in MODELS} == {"vae": "≤ ", "pixelcnn": "", "glow": "≤ "}
    bounds = {"vae": True, "pixelcnn": False, "glow": True, "made": False, "made_deep": True, "diffusion": True}
    monkeypatch.setattr(schema, "families", lambda: tuple(bounds))
    monkeypatch.setattr(checkpoint, "model_class", lambda family: types.SimpleNamespace(lower_bound=bounds[family]))
    rows = {"vae_binarised": True, "glow_additive": True, "pixelcnn_local": False, "diffusion": True, "diffusion_wide": True}
    rows |= {"made": False, "made_wide": False, "made_deep_wide": True, "glowing": False, "gone": False}
    assert {row: bool(tables.sign(row)) for row in rows} == rows


MACHINE = {"machine": {"processor": "P", "instructions": "AVX2", "threads": 2, "torch": "2"}}


def points(*pairs):
    return [{"images": 1000 * k, "minutes": minutes, "bits_per_dim": bits} for k, (minutes, bits) in enumerate(pairs, 1)]


def test_the_share_of_the_minutes_is_read_between_two_epochs():
    curves = {"glow": points((1.0, 4.0), (2.0, 3.0), (4.0, 2.5)), "normflows": points((2.0, 5.0), (3.0, 3.5))}
    text = tables.quality_table({**MACHINE, "test_images": 10, "curves": curves})
    assert text.endswith("Ours reaches the last value of normflows' Glow, 3.500, in 0.50 of its time.")  # after 1.5 of 3


def test_bits_per_dim_of_a_bound_are_signed_as_such():
    curves = {name: points((1.0, 4.0), (2.0, 3.0)) for name in (*MODELS, "normflows")}
    rows = table_rows(tables.quality_table({**MACHINE, "test_images": 10, "curves": curves}))
    assert [row[-1] for row in rows[1::2]] == ["≤ 3.000", "3.000", "≤ 3.000", "≤ 3.000"]


@pytest.mark.parametrize(
    ("ours", "said"),
    [([(1.0, 4.0), (2.0, 3.6)], "Ours does not reach the"), ([(1.5, 3.0), (2.0, 2.0)], "in less than 0.50 of")],
)
def test_a_value_that_is_never_reached_or_from_the_start_is_said_to_be(ours, said):
    curves = {"glow": points(*ours), "normflows": points((2.0, 5.0), (3.0, 3.5))}
    assert said in tables.quality_table({**MACHINE, "test_images": 10, "curves": curves})


def test_what_the_default_run_costs_is_said_of_the_machine_that_it_was_measured_on():
    older = {"machine": {"processor": "Q", "instructions": "SSE", "threads": 1}, "minutes": 40.1, "gigabytes": 1.21}
    text = tables.fresh_sentence({"runs": [{**MACHINE, "minutes": 18.62, "gigabytes": 1.38}, older]})
    said = "The pipeline takes 19 minutes on 2 cores (P, AVX2) or 40 minutes on 1 cores (Q, SSE), and 1.4 GB of memory. "
    assert " ".join(text.split()).startswith(said)


def test_a_run_from_nothing_says_how_many_numbers_it_repeats():
    text = tables.repeated_sentence({"runs": [{**MACHINE, "numbers": {"compared": 10, "equal": 7, "far": 1}}]})
    assert text.startswith(
        "Of 10 numbers of the default benchmark a run from nothing gave on 2 cores (P, AVX2) 7 to the last digit, "
    )
    assert ", 2 within" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= tables.WIDTH
    assert text.endswith("and 1 further off.")


def test_the_hour_s_table_holds_its_last_epoch_beside_the_published_value():
    curve = [{"minutes": minutes, "train": 3.0, "validation": 3.0} for minutes in (20.0, 57.4)]
    found = {"parameters": 1234567, "images": 10000, "test_images": 10000, "bits_per_dim": {"1": 2.9517, "4": 2.9492}}
    lines = tables.hour_table({**MACHINE, **found, "curve": curve}, 2.958).splitlines()
    assert lines[0].endswith("10,000 test images.")
    assert [cell.strip() for cell in lines[2].strip("|").split("|")][4:6] == [
        "bits/dim test, draws: 1",
        "bits/dim test, draws: 4",
    ]
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells == ["Glow", "1,234,567", "10,000", "57", "≤ 2.952", "≤ 2.949", "2.958"]


def test_the_tables_of_seeds_and_commands():
    lines = tables.seeds_table({**MACHINE, "images": 2000, "bits_per_dim": {"vae": {"0": 4.0, "7": 4.25}}}).splitlines()
    assert lines[0].endswith("2,000 images; seeds 0, 7.")
    assert [cell.strip() for cell in lines[-1].strip("|").split("|")] == ["VAE", "2", "4.000", "4.250"]
    found = tables.commands_table(
        {**MACHINE, "rounds": 5, "seconds": {"dvc status": 1.24, "dvc exp show, five experiments": 4.0}}
    )
    assert [cell.strip() for cell in found.splitlines()[-2].strip("|").split("|")] == ["`dvc status`", "1.2"]
    assert "| `dvc exp show`, five experiments |" in found


def test_the_table_of_memory_has_every_build_and_number_of_pictures():
    builds = {"2.14.1+cu130": {"importing": 630, "first": 1870}, "2.13.0+cpu": {"importing": 219, "first": 455}}
    lines = tables.memory_table({**MACHINE, "builds": builds, "reported": {"2000": 990}}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert cells == [
        ["one picture, PyTorch 2.14.1+cu130", "1,870 MB"],
        ["of which the import of PyTorch takes alone", "630 MB"],
        ["one picture, PyTorch 2.13.0+cpu", "455 MB"],
        ["of which the import of PyTorch takes alone", "219 MB"],
        ["2,000 pictures with `--report` and `--maps`, PyTorch 2.14.1+cu130", "990 MB"],
    ]


def test_a_model_s_samples_stand_between_its_test_images_and_each_out_set():
    columns = ("model", "set", "value", "auroc_test", "auroc_samples")
    rows = [("glow", "test", 3.0, None, None), ("glow", "samples", 3.5, 0.7, None), ("glow", "mnist", 1.5, 0.1, 0.01)]
    text = tables.samples_table([("fashion_mnist", pd.DataFrame([*rows, ("glow", "svhn", 2.5, 0.2, 0.02)], columns=columns))])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    assert cells[0] == ["Fashion-MNIST", "Glow", "3.000", "3.500", "MNIST", "1.500", "0.700", "0.010"]
    assert cells[1][4:] == ["SVHN", "2.500", "0.700", "0.020"]


def test_a_pair_that_is_not_far_has_its_best_score_of_one_image_and_of_a_group():
    columns = ("benchmark", "model", "score", "out", "use", "auroc")
    rows = [
        ("tops", "vae", "log_prob", "fashion_other", "near", 0.45),
        ("tops", "glow", "log_prob", "fashion_other", "near", 0.25),
        ("tops", "vae", "complexity", "fashion_other", "near", 0.95),
        ("tops", "glow", "typicality_25", "fashion_other", "near", 0.875),
        ("tops", "glow", "typicality_2", "fashion_other", "near", 0.99),
        ("tops", "glow", "log_prob", "noise", "development", 1.0),
        ("wide", "glow", "log_prob", "notmnist", "far", 0.6),
    ]
    entries = {"tops": {"in": "fashion_tops"}, "wide": {"in": "fashion_mnist"}}
    lines = scores.close_table(pd.DataFrame(rows, columns=columns), entries, ["noise"]).splitlines()
    (cells,) = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[:6] == ["Fashion-MNIST tops", "Fashion-MNIST others", "near", "0.450", "–", "0.250"]
    assert cells[6:] == ["0.950, input complexity S, VAE", "0.875, typicality of 25 images, Glow"]


def test_models_of_several_seeds_have_a_row_where_all_of_its_numbers_were_measured():
    seeds, likelihoods, cells = [], [], []
    for model, scored in (("vae", ("log_prob", "ensemble", "waic")), ("made_seeds", ())):
        for out in ("kmnist", "removed", "noise"):
            seeds.append(("mnist", model, "log_prob", out, 3, 0.5, 0.125))
            cells += [("mnist", model, score, out, 0.25, 0.2, 0.3) for score in scored if out != "removed" or score != "log_prob"]
        likelihoods += [("mnist", model, name, 3, 2.0, 0.5) for name in ("test", "kmnist", "removed", "noise")]
    text = scores.ensembles(
        pd.DataFrame(cells, columns=["benchmark", "model", "score", "out", "auroc", "auroc_low", "auroc_high"]),
        pd.DataFrame(seeds, columns=["benchmark", "model", "score", "out", "seeds", "auroc_mean", "auroc_std"]),
        pd.DataFrame(likelihoods, columns=["benchmark", "model", "set", "seeds", "mean", "std"]),
        {"mnist": {"in": "mnist", "out": ["kmnist", "noise"]}},
        ["noise"],
    )
    bits = ["2.000 ± 0.500"] * 2
    assert table_rows(text) == [["MNIST", "KMNIST", "VAE", *bits, "0.500 ± 0.125", "[0.200, 0.300]", "0.250", "0.250"]]


def test_a_value_that_is_reached_at_the_end_is_reached():
    curves = {"glow": points((1.0, 4.0), (2.0, 3.5)), "normflows": points((2.0, 5.0), (3.0, 3.5))}
    assert tables.quality_table({**MACHINE, "test_images": 10, "curves": curves}).endswith("3.500, in 0.67 of its time.")
