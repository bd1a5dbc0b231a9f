"""The torch tasks that come with the package."""

from torch import nn

from p2pfl.data import characters as characters_data
from p2pfl.data import cifar10 as cifar10_data
from p2pfl.data import digits as digits_data
from p2pfl.data import idx as idx_data
from p2pfl.data import tabular as tabular_data
from p2pfl.learning import modules
from p2pfl.learning.file_task import FileTask
from p2pfl.learning.task import Task

PIXELS = digits_data.PIXELS
HIDDEN = 64


def multilayer_perceptron() -> nn.Module:
    """64 pixels, 64 hidden units, 10 classes: 4810 parameters."""
    return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, digits_data.CLASSES))


digits = Task("digits", module=multilayer_perceptron, dataset=digits_data.digits)

idx = FileTask("idx", dataset=idx_data.idx, module=modules.image_module)
cifar10 = FileTask(
    "cifar10", dataset=cifar10_data.cifar10, module=modules.image_module, training={"step": 0.02}
)
tabular = FileTask("tabular", dataset=tabular_data.tabular, module=modules.table_module)
# On Tiny Shakespeare 0.3 does better than 0.1 and than 1.
characters = FileTask(
    "characters", dataset=characters_data.characters, module=modules.character_module, training={"step": 0.3}
)
