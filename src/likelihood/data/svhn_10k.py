"""The first 10,000 test images of SVHN (svhn.py), 8,000 of them for training and 2,000 for testing.

Which are which is drawn with a seed of this file. As an out-set they are the 2,000.
"""

import numpy as np

from likelihood.data.base import Part, Split

SEED = 10_000
COUNT, TRAIN = 10_000, 8_000
# RandomState's stream is frozen, default_rng's may change with NumPy's version.
ORDER = np.random.RandomState(SEED).permutation(COUNT)

DATASET = Part(
    of="svhn",
    shape=(32, 32, 3),
    splits={
        "all": Split(COUNT, "8158838bf8df734f0d02585aa5edb2c38ed95f96ee012486015b47716777f9b3"),
        "train": Split(TRAIN, "1fce2bc52113e328168140e9fb1c5124f92819dec9eb2bd5dcf03dc723a1bc76"),
        "test": Split(COUNT - TRAIN, "30c3a2f94f27d0776aa56c2bb55b281fc4bb92531c8caaed34a62518fba1540c"),
    },
    positions={"all": ("test", np.arange(COUNT)), "train": ("test", ORDER[:TRAIN]), "test": ("test", ORDER[TRAIN:])},
)
