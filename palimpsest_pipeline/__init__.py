"""palimpsest_pipeline: every scrape is a layer written over the last, and every earlier layer can be read again."""
