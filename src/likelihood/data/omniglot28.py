"""Omniglot at 28×28: 4,840 hand-written characters of many alphabets, box-filtered from 105×105, white on black [1].

A derived set, so it comes only from the user's folder of images, as `omniglot28/test.npz` or `omniglot/test.npz`. MIT licence.

[1] Lake, Salakhutdinov, Tenenbaum, Human-level concept learning through probabilistic program induction, Science 350(6266), 2015.
"""

from likelihood.data.base import Published, Split

DATASET = Published(
    shape=(28, 28),
    splits={"test": Split(4_840, "e8f3aff0bddd376f2f34ec5353aae14e41682ef4a089d9236c4495857a4bae23")},
    sources=(),
    alias="omniglot",
)
