"""The rules: functions from facts to findings, by subject."""
