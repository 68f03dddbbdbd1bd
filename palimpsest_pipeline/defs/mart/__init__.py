"""Assets and checks of the mart group."""
