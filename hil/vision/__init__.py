"""Between an image file and a tensor, and between a tensor and boxes."""
