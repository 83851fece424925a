"""torch.compile with its own choice of everything; it chooses layouts of images, too."""

from functools import partial

from benchmarks.contenders.torch_models import training_step

build = partial(training_step, compiled=True)
