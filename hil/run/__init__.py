"""A run of the harness: prepare, flash, measure, judge."""
