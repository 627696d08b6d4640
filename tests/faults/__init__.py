"""Faults on purpose: everything that kills, fills, cuts and confuses a node, again and again.

    make faults                        # all of it, in about half an hour; resumes if it was interrupted
    make faults FAULTS=--restart       # all of it, from the beginning
    make faults FAULTS="--trials 200 --seed 7 --only killed-while-receiving"

After each trial: every acknowledged instance is there, byte for byte; no file without a row, no row without
its file; one object for each study, revision, model and kind, at the PACS too.
"""
