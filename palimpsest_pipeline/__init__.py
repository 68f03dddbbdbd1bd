"""palimpsest_pipeline: every scrape is a layer written over the last, and every earlier layer can be read again."""

import os

# Polars' allocator gives freed pages back after half a second and has them zeroed again for the next segment: a fifth of a capture's CPU time.
# It reads this when polars is first imported.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000")
