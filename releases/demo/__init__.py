"""The whole main job without a browser."""
