"""What CHANGELOG.md says of an older clone's params.yaml is enough: followed to the letter, it makes a file that is allowed."""

import json
import re
import subprocess

import pytest
import yaml

from likelihood.common import params
from likelihood.settings import checks, schema
from tests.helpers import ROOT, git, table_rows

COMMIT = "9e0b490"  # the last before variants
OLDER = """
seed: 0
run: [fashion_mnist]
benchmarks:
  fashion_mnist: {in: fashion_mnist, out: [mnist_5k, noise, constant], vae: {}, pixelcnn: {}, glow: {}}
  fashion_mnist_wide: {in: fashion_mnist, out: [mnist, notmnist, omniglot28], vae: {}, pixelcnn: {}, glow: {}}
  fashion_mnist_additive:
    {in: fashion_mnist, out: [mnist, noise, constant], vae: {}, pixelcnn: {}, glow: {coupling: additive, preprocessing: scale}}
  mnist_5k: {in: mnist_5k, out: [noise, constant], vae: {}, pixelcnn: {}, glow: {}}
  mnist:
    in: mnist
    out: [fashion_mnist, notmnist, omniglot28, noise, constant]
    vae: {snapshots: [1, 3, 9, 60]}
    pixelcnn: {epochs: 15, snapshots: [1, 6, 15]}
    glow: {epochs: 8, snapshots: [1, 4, 8]}
  cifar10_30k:
    in: cifar10_30k
    out: [svhn_10k, noise, constant]
    vae: &vae {lr: 0.002, batch_size: 32, epochs: 40, snapshots: [1, 40], network: convolutional, hidden: 24, latent: 64}
    pixelcnn: &pixelcnn {pixels: mixture, epochs: 15, snapshots: [1, 6, 15]}
    glow: &glow {scales: 3, steps: 8, epochs: 20, snapshots: [1, 20]}
  cifar10_30k_additive:
    in: cifar10_30k
    out: [svhn_10k, noise, constant]
    vae: *vae
    pixelcnn: *pixelcnn
    glow: {scales: 3, steps: 8, epochs: 20, snapshots: [1, 20], coupling: additive, preprocessing: scale}
  svhn_10k:
    in: svhn_10k
    out: [cifar10_30k, noise, constant]
    vae: {lr: 0.002, batch_size: 32, epochs: 24, snapshots: [1, 24], network: convolutional, hidden: 24, latent: 64}
    pixelcnn: {pixels: mixture, epochs: 8, snapshots: [1, 6, 8]}
    glow: {scales: 3, steps: 8, epochs: 8, snapshots: [1, 8]}
  cifar10: {in: cifar10, out: [svhn, cifar100, noise, constant], vae: *vae, pixelcnn: *pixelcnn, glow: *glow}
  svhn: {in: svhn, out: [cifar10], vae: *vae, pixelcnn: *pixelcnn, glow: *glow}
own: {}
preprocess: {validation_fraction: 0.1}
model:
  lr: 0.005
  batch_size: 16
  epochs: 4
  epoch_images: 10000
  warmup: 0.05
  clip_norm: 1.0
  validation_images: 1000
  snapshots: [1, 2, 4]
  sample_images: 64
vae: {lr: , batch_size: 128, epochs: 60, snapshots: [1, 10, 60], network: dense, hidden: 400, latent: 20, likelihood: logistic}
pixelcnn: {lr: , batch_size: , epochs: 3, snapshots: [1, 2, 3], layers: 5, channels: 32, pixels: softmax}
glow:
  lr:
  batch_size:
  epochs: 4
  snapshots: [1, 2, 4]
  scales: 2
  steps: 16
  hidden: 64
  coupling: affine
  preprocessing: logit
companions: {benchmarks: [], names: [], seeds: [1, 2], mutation: 0.2}
probes: {benchmarks: [], names: []}
others: {benchmarks: [], names: []}
score: {images: 2000, draws: {vae: 64, pixelcnn: 1, glow: 4}}
claims: {benchmarks: [], curvature: [], images: 500}
evaluate: {bootstrap: 1000, images: 1000}
plot: {bins: 80}
"""
OLD, TODAY = yaml.safe_load(OLDER), params.load(ROOT / "params.yaml")
WORDS = {"b": r"[^.]+", "colour": "cifar10_30k|svhn_10k|cifar10|svhn", "family": "|".join(schema.families())}


def table():
    """The keys that every row names, in both columns: [key, the value that stands beside it, or None]."""
    _, page = (ROOT / "CHANGELOG.md").read_text().split("**An older clone's params.yaml**")
    rows = table_rows("\n".join(line.strip() for line in page.split("Results moved")[0].splitlines()))
    named = [[re.findall(r"`([\w.<>]+)(?:: ([^`]*))?`", cell) for cell in row] for row in rows]
    return [[[(key, yaml.safe_load(value or "null")) for key, value in cell] for cell in row] for row in named]


def keys(values, start=""):
    """Of every section and every value, the key, as `score.draws.vae`."""
    for key, value in values.items():
        yield f"{start}{key}"
        if isinstance(value, dict):
            yield from keys(value, f"{start}{key}.")


def at(values, key):
    """What stands at a key, None if nothing does."""
    for part in key.split("."):
        values = (values or {}).get(part)
    return values


def put(values, key, value):
    """Set a value, and make the sections that lead to it."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[last] = value


def take(values, key):
    """Take a value out, and the sections that are left empty."""
    section, _, last = key.rpartition(".")
    taken = (at(values, section) if section else values).pop(last)
    if section and not at(values, section):
        take(values, section)
    return taken


def brought_along(values, rows):
    """The older values when every row was followed.

    What stands on the left goes: to the key on the right that has the same <words>, if there is one. What stands on the right and
    is not there yet gets the value beside it, or else today's.
    """
    values = json.loads(json.dumps(values))
    for before, after in rows:
        for named, value in before:
            pattern = re.sub(r"<(\w+)>", lambda word: f"(?P<{word[1]}>{WORDS[word[1]]})", named.replace(".", r"\."))
            for found in [match for match in (re.fullmatch(pattern, key) for key in keys(values)) if match]:
                words = {f"<{word}>": text for word, text in found.groupdict().items()}
                if value is None or at(values, found[0]) == value:
                    taken = take(values, found[0])
                    for target in (key for key, _ in after if words and words.keys() == set(re.findall(r"<\w+>", key))):
                        put(values, re.sub(r"<\w+>", lambda word, words=words: words[word[0]], target), taken)
        for key, value in after:
            if key.split(".")[0] in TODAY and at(values, key) is None:
                put(values, key, at(TODAY, key) if value is None else value)
    return values


def test_an_older_file_that_followed_the_table_is_allowed_and_lacks_nothing():
    found = brought_along(OLD, table())
    checks.check(found)
    entries = {name: {"in": entry["in"], "out": entry["out"]} for name, entry in OLD["benchmarks"].items()}
    entries["mnist"] |= {"pixelcnn": {"epochs": 15}, "glow": {"epochs": 8}}  # which differ from the family's
    assert found["benchmarks"] == {name: entry for name, entry in entries.items() if not name.endswith("_additive")}
    assert {family: found[family]["draws"] for family in params.MODELS} == OLD["score"]["draws"]
    for key in keys(TODAY):
        if not key.startswith("benchmarks") and not isinstance(at(TODAY, key), dict):
            older = None if key.endswith("snapshots") else at(OLD, key)
            assert at(found, key) == (at(TODAY, key) if older is None else older), key


@pytest.mark.parametrize("row", range(len(table())))
def test_no_row_of_the_table_can_be_left_out(row):
    rows = table()
    assert brought_along(OLD, [*rows[:row], *rows[row + 1 :]]) != brought_along(OLD, rows)


def test_the_older_file_is_that_of_its_commit():
    try:
        text = git("show", f"{COMMIT}:params.yaml")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"no commit {COMMIT} here, as in a shallow clone")
    assert yaml.safe_load(text) == OLD
