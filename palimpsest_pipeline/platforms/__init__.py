"""The three bookmakers' dialects: what to ask and how to read the answers. Pure: no network, no frames, no clock."""
