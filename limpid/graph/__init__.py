"""Nodes, graphs, element types and sources: data, with no knowledge of derivatives."""
