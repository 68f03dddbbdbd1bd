"""Is the vocabulary right?

Prices say so: of two books on one fixture, and of one book on bets that must agree with each other.
"""
