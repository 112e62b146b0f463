"""run() and the Dataset accessor."""
