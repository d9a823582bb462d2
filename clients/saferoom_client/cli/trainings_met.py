"""What is wrong with a training, a model, a scorecard, or the rows for one.

Listed for translation: it is said in English where it is found.
"""

from __future__ import annotations

from typing import Final

from saferoom_client.tongue import later

TRAININGS: Final = (
    later("{name} trains on the owner's columns alone: give no --rows, --label"),
    later("the model reads {missing} too: give all of its columns, or none"),
    later("{faults} values that are no numbers; nothing was sent"),
    later("each column has a weight, a mean, a scale and bounds"),
    later("the room tells more than was asked"),
    later("the room tells of another federation"),
    later("a word on another federation, or of no bank in it"),
    later("the room lists a federation of others"),
    later("{job} is no one training in the room of this member folder"),
    later("no enclave's word"),
    later("the enclave's word is about something else"),
    later("the template's algorithm has none: {algorithm}"),
    later("the enclave ended a job that is not over"),
    later("the room tells no more"),
    later("an own part for each row, or none at all"),
    later("the job's template trains nothing"),
    later("the first bin has no lower end, the last no upper one"),
    later("a bin is an interval, or classes, or of missing values"),
    later("a bin is of classes or of missing values"),
    later("the last bin is that of missing values, and no other"),
    later("a class is in two bins"),
    later("a bin begins where the one before ends"),
    later("a bin's lower end is below its upper one"),
    later("a column stands twice in it"),
    later("a half of a joint model, and a card of tables, is not measured, and every other is"),
    later("the bins of a column are intervals, or classes"),
    later("no column of the job has a weight"),
    later("the card has no column {name}"),
    later("{name} holds what is no weight of evidence of this card"),
    later("nothing was told: it is the receipt of a refusal"),
    later("it has no count of a column by {label}"),
    later("columns that count are others than the label"),
    later("{bad} bad lines; nothing was made"),
    later("a column's name has 1 to 200 characters that can be seen"),
    later("{name} stands in another receipt, too: take one"),
    later("a finite number is expected"),
    later("a certificate of no training"),
    later("the stream has ended"),
    later("the stream ended while it was written to"),
    later("it was sealed under another signing key, or for another job, or altered"),
    later("the room tells the unknown state {state}"),
    later("a piece of a message that holds nothing"),
    later("the room does not say where the job stands"),
    later("another message than the one that is due"),
    later("an answer of more than {most} bytes"),
    later("the channel's secret is not the one signed for"),
    later("the job was charged another epsilon than approved"),
    later("the enclave's word is about another job"),
    later("the enclave's word names other approvals"),
    later("the agreement does not cover the job"),
    later("the terms name {columns} columns, the rows have not"),
    later("{values} rows; every bank brings {fewest_own_rows}"),
    later("{values} rows; at most {most_own_rows}: take a sample"),
    later("labels are 0 or 1, one for each row"),
    later(
        "{learned} numbers would be learned of {rows} own rows; bring more, or agree on fewer "
        "columns or rounds"
    ),
    later("{name}: missing or endless values; fill them before training"),
    later("a bank that was left out does not come back"),
    later("{bit_count} banks are left of {members}; {threshold} must be"),
    later("{gone} of the banks of the last sum are gone; this sum would tell their part"),
    later("a weight grew beyond all measure; take a stronger ridge"),
    later("the sums curve the wrong way; take a stronger ridge"),
    later("the model has {names} columns, the rows have not"),
    later("missing or endless values; fill them as for training"),
    later("the state is broken off, altered or another's; take up the newest"),
    later("the terms name another key for {name} than is at hand"),
    later("the training has begun"),
    later("nothing was asked, or all is over"),
    later("no round is over"),
    later("the state was saved with other {name}"),
    later("a public key comes twice"),
    later("this bank's own keys come back altered"),
    later("the others went on without this bank; its numbers stay hidden"),
    later("a set with banks that were not there"),
    later("{bit_count} banks are left; {threshold} must be"),
    later("{name} dealt another share than it committed to"),
    later("a sum over other banks than were signed"),
    later("{name} was told another set of banks"),
    later(
        "the model singles out fewer than {support} of this bank's rows; take a stronger ridge, "
        "or bring more rows"
    ),
    later("a sum beyond what whole numbers can add up"),
    later("the masks do not come off; the banks were told different things"),
    later("{name} is no member of this training"),
    later("{rows} rows of all banks; at least {fewest_rows} are needed"),
    later(
        "{most} numbers would be learned of {rows} rows, over a {share_of_rows}rd; take fewer "
        "columns or rounds, or more rows"
    ),
    later("the labels of all banks are all the same"),
    later(
        "{rarer} events for {columns} columns, under {few_events} each, want an inverse ridge of "
        "at most {strong_ridge}; or take fewer columns"
    ),
    later("{members} banks; {fewest_members} to {most_members} can train together"),
    later("a column is named twice"),
    later("{name}: not as agreed terms may be"),
    later("column {name}: bounds {low}, {high}"),
    later("labels are 0 or 1, and not all the same"),
    later("the job was not admitted yet"),
    later("the training has not begun"),
    later("not as many subjects as agreed"),
    later("the room has not told the intersection"),
    later("the alignment has begun"),
    later("{identifiers} subjects; 1 to {most} are right"),
    later("a subject twice, or without a name"),
    later("{label_items} subjects; at least {fewest_items}"),
    later("{counts} classes; a column has at most {most_classes}"),
    later("{name}: each bin has its points"),
    later("no column tells anything"),
    later("a count is below zero"),
    later("edges are finite numbers and ascend"),
    later("there is one pre-bin more than edges"),
    later("a column of classes has at least one"),
    later("{name}: such a name is one of ours: name the column otherwise"),
    later("{name}: an output has this name: name the column otherwise"),
    later("{text}: PMML has no way to write a character of it"),
    later("{names} names, some twice, or not one a column"),
    later(
        "{rows} rows with residuals up to {largest_residual} could pass half of the plaintext "
        "modulus; take fewer rows or a higher rank"
    ),
    later("there is no model: the gradient grew"),
    later("round {distances} is over"),
    later("the gradient grows; take a stronger ridge or a higher rank"),
    later("no owner, or owners with unlike row counts"),
    later("an owner's name with a dot in it"),
    later("no column of {owner}"),
    later("the state is broken off, altered or another's; start the job anew"),
    later("the state cannot be read"),
    later("the state has no {name}"),
    later(
        "{events} events for each of {columns} columns, under {few_events}, want an inverse "
        "ridge of at most {strong_ridge}; {safe_ridge} is proposed; or take fewer columns"
    ),
    later("{rows} rows; at least {fewest_rows} are needed"),
    later("{rows} rows; at most {most_rows}: train on a sample"),
    later(
        "a side would learn {most} numbers of {rows} rows, over a {share_of_rows}rd; take fewer "
        "columns or rounds, or more rows"
    ),
)
"""A test finds each in the code that gives it."""
