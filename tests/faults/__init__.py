"""Faults on purpose: everything that kills, fills, cuts and confuses a node, again and again.

    make faults                      # everything, in half an hour; resumes if interrupted
    make faults FAULTS=--restart     # everything, from the beginning
    make faults FAULTS="--trials 200 --seed 7 --only killed-while-receiving"

After each trial: every acknowledged instance is there, byte for byte. There is no file without a
row and no row without its file. There is one object for each study, revision, model and kind, also
at the PACS.
"""
