"""Prices side by side: margins, fair prices, comparisons and gaps. Frames in, frames out."""
