"""Replay: deriving core and mart of past hours from what was landed.

Never asks a platform. Who only judges what is due loads nothing of the rest.
"""
