"""Third room, explanation: heatmaps, adversarial enhancement, and how far the heatmaps overlap."""
