"""Space warping: what each layer of a network does to the points of the plane."""

from limpid.diagnosis.warp.points import Points as Points
from limpid.diagnosis.warp.points import find_points as find_points
from limpid.diagnosis.warp.points import from_arrays as from_arrays
from limpid.diagnosis.warp.points import make_points as make_points
from limpid.diagnosis.warp.points import read_points as read_points
from limpid.diagnosis.warp.warping import Warp as Warp
from limpid.diagnosis.warp.warping import warp as warp
