"""Measures, data sets and experiments; the experiments need the extra "eval"."""
