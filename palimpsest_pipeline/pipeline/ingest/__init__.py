"""The derivation of core from landed answers."""
