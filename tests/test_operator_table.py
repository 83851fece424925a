"""docs/operators.md lists every classic operator, with a name and a test that exist."""

from __future__ import annotations

import re
from pathlib import Path

import limpid
from limpid import nn
from limpid.nn import functional as F

ROOT = Path(__file__).parent.parent
ROWS = re.findall(
    r"^\| (.+?) \| (.+?) \| (\S+) \|$", (ROOT / "docs/operators.md").read_text(), re.M
)

CLASSIC = """
AbsCriterion BCECriterion ClassNLLCriterion SpatialClassNLLCriterion CosineEmbedding
DistKLDivCriterion L1Cost MarginCriterion MultiMarginCriterion MultiLabelMarginCriterion
MSECriterion SmoothL1Criterion SoftMarginCriterion ELU GatedLinearUnit HardShrink HardTanh LeakyReLU
LogSigmoid LogSoftMax PReLU RReLU Sigmoid SoftMax SoftPlus SoftShrink Sqrt Square Tanh Threshold Abs
BatchNormalization Linear SparseLinear IndexLinear LookupTable LSTM GRU Im2Col Col2Im
FeatureLPPooling SpatialConvolutionMM SpatialConvolutionMap SpatialFullConvolutionMap
SpatialConvolutionLocal SpatialDilatedConvolution SpatialFullConvolution
SpatialFullDilatedConvolution SpatialDepthwiseConvolution SpatialSubSampling SpatialCrossMapLRN
SpatialMaxPooling SpatialDilatedMaxPooling SpatialMaxUnpooling SpatialFractionalMaxPooling
SpatialAveragePooling SpatialAdaptiveAveragePooling SpatialAdaptiveMaxPooling
SpatialReflectionPadding SpatialReplicationPadding SpatialUpSamplingNearest
SpatialUpSamplingBilinear SpatialGridSamplerBilinear TemporalConvolution TemporalRowConvolution
TemporalMaxPooling TemporalSubSampling TemporalReflectionPadding TemporalReplicationPadding
TemporalUpSamplingNearest TemporalUpSamplingLinear VolumetricConvolution VolumetricConvolutionMM
VolumetricDilatedConvolution VolumetricFullConvolution VolumetricFullDilatedConvolution
VolumetricMaxPooling VolumetricDilatedMaxPooling VolumetricMaxUnpooling
VolumetricFractionalMaxPooling VolumetricAveragePooling VolumetricAdaptiveAveragePooling
VolumetricAdaptiveMaxPooling VolumetricReplicationPadding VolumetricUpSamplingNearest
VolumetricUpSamplingTrilinear VolumetricGridSamplerBilinear Dropout SpatialDropout VolumetricDropout
""".split()


def names(cell: str) -> list[str]:
    """The classic operators of a cell, without what it says in brackets."""
    return re.sub(r" \(.*?\)", "", cell).split(", ")


def test_every_classic_operator_is_listed_once() -> None:
    listed = [name for cell, _, _ in ROWS for name in names(cell) if name != "classic"]
    assert sorted(listed) == sorted(CLASSIC)


def test_names_and_tests_exist() -> None:
    spaces = {"limpid": limpid, "nn": nn, "F": F}
    for _, cell, test in ROWS:
        if cell == "limpid":
            continue
        found = re.findall(r"`(limpid|nn|F)\.(\w+)", cell)
        assert found, cell
        for space, name in found:
            assert hasattr(spaces[space], name), f"{space}.{name}"
        assert (ROOT / test).exists(), test


def test_each_test_mentions_its_operator() -> None:
    for _, cell, test in ROWS:
        wanted = [name for _, name in re.findall(r"`(limpid|nn|F)\.(\w+)", cell)]
        text = (ROOT / test).read_text() if wanted else ""
        assert not wanted or any(name in text for name in wanted), f"{wanted} in {test}"
