"""CHANGES: steps, plan, journal, engine and recovery. Only txn/steps and proc.py change the machine."""
