"""The platforms' dialects: captured answers read exactly, envelopes judged, crawls driven against servers in memory."""
