"""Making alignment data with a model: briefs for thin cells, queries, responses, critiques."""
