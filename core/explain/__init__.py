"""Where a trained model looks: attention, Grad-CAM, what zero vectors change, and how far to trust the maps."""
