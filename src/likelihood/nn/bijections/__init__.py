"""Invertible maps of images in NHWC layout, (B, H, W, C): the layout in which a 1×1 convolution is one matrix product."""
