"""The timing model held against published cycles of silicon: `hil validate-timing`.

The benchmarks are the user's own checkouts, built outside the project; only the published figures
are carried, with their sources.
"""
