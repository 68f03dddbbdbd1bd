"""Assets and checks of the landing group."""
