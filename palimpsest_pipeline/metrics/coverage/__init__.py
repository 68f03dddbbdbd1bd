"""Coverage, match rates and the quality of runs. Frames in, frames out."""
