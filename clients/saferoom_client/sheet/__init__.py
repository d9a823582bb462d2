"""A receipt for people: what a receipt verifiably shows, on one page, in English or Chinese.

words.py     what the page says, in both languages
facts.py     what a receipt shows, as rows; made from a receipt that verifies, and from no other
parts.py     the rows of one owner's part
render.py    rows to one HTML file without anything from outside, or to text
"""
