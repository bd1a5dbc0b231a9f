"""Learning: the only place that knows layers; everything else sees one flat vector."""
