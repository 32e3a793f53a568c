"""The report: everything in a folder of results as tables and as one page with plots."""

from medimeta.benchmark.report.write import FORMATS as FORMATS
from medimeta.benchmark.report.write import write_report as write_report
