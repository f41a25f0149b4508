"""Trains, measures and exports the matched quartet: four Transformers that differ only in mask, objective and wiring."""
