"""Coverage, match rates and the quality of cycles. Frames in, frames out."""
