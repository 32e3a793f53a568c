"""The one format on disk: release 1.0's layout, plus a manifest."""
