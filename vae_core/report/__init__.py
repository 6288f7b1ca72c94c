"""Everything that can be measured of a checkpoint, as one JSON object and one HTML page."""

from vae_core.report.measure import Measured, measure_report
from vae_core.report.page import report_page, report_sections

__all__ = ["Measured", "measure_report", "report_page", "report_sections"]
