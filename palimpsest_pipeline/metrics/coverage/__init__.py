"""Coverage, match rates and the quality of cycles. Takes and returns frames."""
