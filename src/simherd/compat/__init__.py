"""Other packages' interfaces on top of ours: their users' models run unchanged."""
