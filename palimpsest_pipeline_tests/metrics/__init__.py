"""Tests of the metrics, on small worlds worked out by hand and on random ones."""
