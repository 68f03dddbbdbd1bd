"""Backfill: core and mart of past hours are derived again from the landed answers, without requests.

Code that only decides which hours are due imports none of this package.
"""
