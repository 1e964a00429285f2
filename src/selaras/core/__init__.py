"""Records, errors, fingerprints, manifests, journal, project file: what all stages share."""
