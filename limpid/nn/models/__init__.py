"""Networks from the literature, as builders: `limpid.nn.models.lenet5()`.

Built inside `limpid.nn.init.skip_draws()` they cost no random numbers: for a summary, or where
weights are loaded next.
"""

from limpid.nn.models.alexnets import AlexNet, alexnet
from limpid.nn.models.lenets import LeNet, LeNet5, lenet, lenet5
from limpid.nn.models.resnets import ResNet, resnet20
from limpid.nn.models.vggs import VGG, vgg11, vgg16

__all__ = [
    "VGG",
    "AlexNet",
    "LeNet",
    "LeNet5",
    "ResNet",
    "alexnet",
    "lenet",
    "lenet5",
    "resnet20",
    "vgg11",
    "vgg16",
]
