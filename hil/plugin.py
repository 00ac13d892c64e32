"""pytest options, fixtures and reports of the harness."""
