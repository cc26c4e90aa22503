"""From image files to arrays of uint8."""
