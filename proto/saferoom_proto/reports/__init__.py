"""Reports of what is public by law about one subject, as all sides read them.

    told       an owner's part as it is sealed to the asker
    receipt    one file that shows offline what was asked, allowed and told, by every owner

A report is asked by a check's request and answered by a check's release: who may ask whom, repeats,
the log and the audit are the same. What differs is what is sealed.
"""
