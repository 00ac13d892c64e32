"""Renderings of results: one HTML page, markdown, OpenMetrics, and JSON of dashboards.

All of them are made from rows; the page also from the details that stand beside them.
"""
