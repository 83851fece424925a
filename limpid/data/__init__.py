"""Data: readers for files, the handwritten digits that ship with limpid, and mini-batches."""

from limpid.data.batches import Batches as Batches
from limpid.data.dataset import Dataset as Dataset
from limpid.data.dataset import Examples as Examples
from limpid.data.digits import load_digits as load_digits
from limpid.data.loading import from_arrays as from_arrays
from limpid.data.loading import load as load
from limpid.data.scaling import Scaling as Scaling
from limpid.data.splitting import split_by_class as split_by_class
