"""Scraping: targets that show metrics in the text of Prometheus or OpenMetrics are asked, and their answers stored."""
