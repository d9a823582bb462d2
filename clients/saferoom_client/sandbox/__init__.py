"""A room on this machine with a made-up firm for every kind of answer, for integrators to test by.

codes.py        the firms, and what a check about each must end in
build.py        makes the room: owners, data, templates, consents, and what is wrong on purpose
line.py         a slow line to the room
leftovers.py    one sandbox at a time in a folder
run.py          `saferoom sandbox`: makes or reopens one, and keeps it up
"""
