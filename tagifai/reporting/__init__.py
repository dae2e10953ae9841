"""Figures and reports of runs, leaderboards and searches."""
