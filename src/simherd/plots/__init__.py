"""Pictures of models, tasks and results."""
