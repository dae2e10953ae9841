"""Injects faults into the application from outside, and sees what is left.

python -m tests.faults                              one of each kind
python -m tests.faults --seconds 1800 --count 1000  all night
python -m tests.faults --seed 7 --kind kill         one of them again
"""
