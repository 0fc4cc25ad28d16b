"""ZS-LP: a cosine classifier that starts at the class sentences.

Paper: Silva-Rodriguez, Hajimiri, Ben Ayed, Dolz, A Closer Look at the Few-Shot Adaptation of Large Vision-Language
Models, CVPR 2024.
Official code: jusiro/CLAP, commit dbdf409 (MIT).

Differences. The published code starts from text features of their own length, which sets how far a step turns them
("text_norm" empty), and draws from 20 random views; the default is the medical port of the same authors: centre views,
full batches, 300 steps, with a start of one fixed length. In variant "reference" a step sees one view of each image,
where the published code mixes all twenty. Nothing is chosen on validation images, by design.
"""

from __future__ import annotations

from typing import ClassVar

from core.tuning.prototypes import AS_PUBLISHED, PrototypeConfig, Prototypes

Config = PrototypeConfig


class ZSLP(Prototypes):
    """Cross-entropy of scaled cosines with one vector a class."""

    title = "ZS-LP"
    summary = "A linear probe that starts at the class sentences instead of at random. Very fast."
    paper = (
        "Silva-Rodriguez et al. A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models. CVPR 2024."
    )
    code = "jusiro/CLAP, commit dbdf409"
    licence = "MIT"
    trains = "one vector per class on image features"
    variants: ClassVar = {"reference": AS_PUBLISHED}
