"""MNIST: handwritten digits, 28×28 grey, white on black; 60,000 training and 10,000 test images [1].

[1] LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, Proceedings of the IEEE 86(11), 1998.
"""

from likelihood.data.base import Published, Split
from likelihood.data.mirrors import torchvision

DATASET = Published(
    shape=(28, 28),
    splits={
        "train": Split(60_000, "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
        "test": Split(10_000, "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    },
    sources=(torchvision("MNIST"),),
)
