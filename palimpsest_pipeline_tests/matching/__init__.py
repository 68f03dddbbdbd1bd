"""Tests of matching, on small worlds worked out by hand and on random ones."""
