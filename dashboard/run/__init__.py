"""Run: a model and images in, a worker process, an audit out."""
