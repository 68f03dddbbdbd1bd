"""Margins, fair prices, price comparisons and market gaps. Takes and returns frames."""
