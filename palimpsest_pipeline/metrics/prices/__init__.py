"""Margins, fair prices, price comparisons and market gaps. Frames in, frames out."""
