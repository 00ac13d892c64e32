"""Parts of the pytest plugin `hil.plugin`: progress, baselines, and sharing tests among workers."""
