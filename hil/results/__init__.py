"""Results: rows of metrics, the CSV they are kept in, and the table a person reads."""
