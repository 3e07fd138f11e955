"""One audit: settings, scoring of batches, engines, run, manifest, folder, worker processes."""
