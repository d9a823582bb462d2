"""Reports of what is public by law about one subject.

asking     asked of every owner's enclave, verified, and put together; a subject's own
content    what a report says, whoever asked, for people and programs
page       the same as a page: HTML or text
pdf        the page as PDF, by the extra `report`
approving  what an approver's client looks at before it signs
draft      a template of a report, from the catalogue
"""
