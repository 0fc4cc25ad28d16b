"""A methods section says what is known, in true numbers, and names what is not."""

from __future__ import annotations

from core.descriptions.methods_section import ReviewFacts, methods_section

PAIR = {
    "n": 18, "percent": 0.944, "kappa": 0.64, "kappa_low": 0.2, "kappa_high": 1.0, "ac1": 0.93, "ac1_low": 0.8,
    "ac1_high": 1.0,
}  # fmt: skip


def test_a_whole_review_in_words() -> None:
    facts = ReviewFacts(
        name="tumours",
        classes=3,
        sources={("model", "writer-7b"): 18, ("person", "Ada"): 2},
        states={"approved": 15, "rejected": 3, "needs_second_reader": 1},
        edited=4,
        removed=1,
        readers=["Ada", "Bo"],
        reviewed=19,
        seconds=[2.0, 4.0, 9.0],
        agreement={"pairs": [PAIR], "several": None},
        catches=[{"reader": "Ada", "planted_read": 5, "planted_caught": 4}],
        signed=(3, "Ada", "2026-11-27", 15),
    )
    assert methods_section(facts) == (
        "The description set 'tumours' was made from 20 sentences about 3 classes: 18 drafted by the language model "
        "writer-7b, 2 written by Ada. 4 sentences were edited by people and 1 sentence was taken out of the set. "
        "2 readers (Ada, Bo) reviewed 19 of 19 sentences: 15 approved, 3 rejected, 1 left for a second reader. "
        "Over the 18 sentences that both readers decided about: percent agreement 94%, Cohen's kappa 0.64 (95% "
        "bootstrap interval 0.20 to 1.00), Gwet's AC1 0.93 (95% bootstrap interval 0.80 to 1.00). The median time per "
        "sentence was 4.0 s (3 decisions timed). Of sentences planted wrong on purpose readers noticed: Ada 4 of 5. "
        "Version 3 with 15 approved sentences was signed by Ada on 2026-11-27."
    )


def test_what_is_not_known_is_named() -> None:
    alone = ReviewFacts("w", 1, {("file", "Bo"): 1}, {"approved": 1}, readers=["Bo"], reviewed=1)
    assert methods_section(alone).endswith(
        "Not known: agreement, for no two readers decided about the same sentence; the time per sentence, which was "
        "not measured; whether readers notice wrong sentences, for none were planted; who vouches for the wording, "
        "for no version is signed."
    )
    nobody = methods_section(ReviewFacts("w", 1, {("pack", "pack:demo"): 2}, {"draft": 2}))
    assert "Not known: a review, for nobody decided about these sentences; who vouches" in nobody
    assert "approved" not in nobody
    assert methods_section(ReviewFacts("w", 0, {}, {})) == "The description set 'w' has no sentence yet."
