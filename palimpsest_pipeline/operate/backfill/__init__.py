"""Backfill: core and mart of past hours are derived again from the landed answers, without requests.

Code that only plans which hours to derive imports none of this package.
"""
