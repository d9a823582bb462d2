"""What is public by law: reports about one subject, and lists of a register.

asking     asked of every owner's enclave, verified, and put together; a subject's own
content    what a report says, whoever asked, for people and programs
page       the same as a page: HTML or text
pdf        the page as PDF, by the extra `report`
approving  what an approver's client looks at before it signs
listing    a page of a list, asked for and verified
list_page  what it says, for people and programs
draft      a template of a report, from the catalogue
"""
