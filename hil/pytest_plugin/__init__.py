"""Parts of the pytest plugin `hil.plugin`: progress, baselines, cores, sharing among workers."""
