"""Statistics of what training computes, over time: of compiled steps and of eager ones.

This lies with training, which writes some of them to its metrics; `limpid.watch` is the way in.
"""

from limpid.training.watching.history import load_history as load_history
from limpid.training.watching.watch import Watch as Watch
