"""Tables as all sides read them: what is asked, what to expect, what came back and its receipt.

    plan       what is asked: classes, measures, margins, epoch
    rules      thresholds, and where each comes from
    asked      the plan that a template and its features amount to, and its part of a certificate
    privacy    with how much noise tables leave, where their plan has noise for rules
    dryrun     what to expect of a plan, from public counts alone
    told       the tables as they are sealed to the asker
    receipt    one file that shows all of it offline

What protects them is the enclave's (`saferoom_enclaves.statistics`).
"""
