"""Training: the loop, its checkpoints and its run folders."""

from limpid.training.callback import Callback as Callback
from limpid.training.checkpoint import load_checkpoint as load_checkpoint
from limpid.training.checkpoint import save_checkpoint as save_checkpoint
from limpid.training.config import Config as Config
from limpid.training.runs import Result as Result
from limpid.training.runs import load_model as load_model
from limpid.training.runs import resume as resume
from limpid.training.runs import train as train
from limpid.training.trainer import Trainer as Trainer
