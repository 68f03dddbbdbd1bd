"""Measurements that are run by hand: `python -m palimpsest_pipeline_tests.benchmarks NAME [--json] ...`. One module per
benchmark.

A module offers `measure`, whose parameters are the benchmark's own options and which returns one plain object.
"""
