"""The derivation of the marts from core."""
