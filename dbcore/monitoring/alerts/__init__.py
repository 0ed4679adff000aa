"""Alerts: rules judge readings, incidents begin and end, messages about them reach people.

A message may come twice when a monitor is killed, recognisably the same; none may be lost.
"""
