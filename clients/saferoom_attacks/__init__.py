"""The attack suite: `saferoom attack` against a room of its own, with banks' valid certificates.

firms.py        the made-up store: a small domain, so that every record there can be is in it
ask.py          what an attack asks, what it is told, and the ways in that a room offers
ground.py       opens a real room with that store, and everything that rules can be broken with
room_oracle.py  asks it through the SDK, and reads in the receipts what was charged
patience.py     asks again where a busy room gave no verdict
model.py        the gate's rules as an attacker has them at home; any of them can be switched off
controls.py     gates with another weakness than a rule that is missing
measure.py      accuracy, cells told apart, bits, and when chance is no explanation
guessing.py     what is possible by what was heard
attack.py       what an attack is, and its verdict
asking.py       attacks that ask what may be asked: search, collusion, correlation, ...
breaking.py     attacks that ask what may not be asked: consents, purposes, templates, ...
evolving.py     an attack that breeds its questions
forging.py      a server that was taken over
tricks.py       each way in which breaking.py asks
books.py        the made-up books that tables are told of
table_ask.py    what is asked in tables, and gates with few rules
table_room.py   asks the room for tables through the SDK
table_intruder.py  what is possible by what was told, by linear programmes
table_attack.py what an attack on tables is, and its verdict
table_attacks.py   all of those
wager.py        an attack that guesses where chance has a part in what is told, and its verdict
blurred.py      the firms that tables with noise are told of, and gates with too little noise
noise_attacks.py   all attacks on tables with noise
offices.py      the owners that sums are told of, and gates that tell an owner's own
sum_attacks.py  all attacks on sums over owners
sum_room.py     asks the room for sums through the SDK
model_attacks.py   attacks on models that are trained in a room, played in one process; so are
score_attacks.py   those on scores of several owners, and
federated_attacks.py   that on banks that train together
catalogue.py    all of them by name, with bounds and controls
suite.py        runs them
command.py      what `saferoom attack` calls
report.py       the table, as text, JSON and Markdown

Whoever attacks is a client: nothing here imports the server or an enclave (pyproject.toml).
"""
