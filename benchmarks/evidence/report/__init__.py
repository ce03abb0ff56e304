"""The report: tables, figures and verdicts, made of the records alone."""
