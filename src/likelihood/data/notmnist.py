"""notMNIST: the letters A to J in many typefaces, 28×28 grey, white on black; 10,000 images [1].

These 10,000 are as published by a third party, without a checksum, so they come only from the user's folder of images, as
`notmnist/test.npz`. No licence is stated by the set's author.

[1] Bulatov, notMNIST dataset, 2011, http://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html
"""

from likelihood.data.base import Published, Split

DATASET = Published(
    shape=(28, 28),
    splits={"test": Split(10_000, "6bda48464effe4169d9cd068967cd81a717ae2f925ddb55fd71025e23022ee9a")},
    sources=(),
)
