"""Figures and pages of runs, leaderboards and searches."""
