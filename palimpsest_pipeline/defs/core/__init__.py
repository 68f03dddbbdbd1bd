"""Assets and checks of the core group."""
