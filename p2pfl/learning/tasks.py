"""The torch tasks that come with the package."""

from torch import nn

from p2pfl.data import digits as digits_data
from p2pfl.learning.task import Task

PIXELS = digits_data.PIXELS
HIDDEN = 64


def multilayer_perceptron() -> nn.Module:
    """64 pixels, 64 hidden units, 10 classes: 4810 parameters."""
    return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, digits_data.CLASSES))


digits = Task("digits", module=multilayer_perceptron, dataset=digits_data.digits)
