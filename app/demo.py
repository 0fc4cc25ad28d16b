"""A trained model as a small Gradio application: an image in, probabilities and maps out.

    from app.demo import demo
    demo("models/kgcoop-20260301-101500-ab12cd").launch()

It needs the model folder and its backbone, no database and no network. Pictures stay in memory and in Gradio's
temporary folder, which is emptied while it runs; nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from app.components.map_viewer import MapViewer, viewer_value
from app.components.probability_bars import ProbabilityBars
from app.components.sent_image import SentImage
from core.errors import InvalidInput, PromptoscopeError
from core.explain.explanation import DISCLAIMER
from core.explain.first_answer import Subject, first_answer, seen_picture
from core.images.decode import decode_image
from core.tuning.classifier import Classifier, load_model

PREDICTED = "the most likely class"
ABSTAIN_BELOW = 0.5
"""Below this probability no class is more likely than all others together."""
KEEP_S = 600
"""Seconds after which Gradio's copies of pictures are deleted."""
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")


class Demo(gr.Blocks):
    """`gr.Blocks` whose launch asks nobody else's server: fonts of the machine, no share link, no analytics."""

    def launch(self, *args: Any, **kwargs: Any) -> Any:
        """As `gr.Blocks.launch`; on the loopback address unless `server_name` says otherwise."""
        quiet: dict[str, Any] = {"theme": theme(), "ssr_mode": False, "footer_links": [], "run_history": False}
        return super().launch(*args, **(quiet | {"share": False} | kwargs))


def demo(model: str | Path | Classifier, *, home: Path | None = None, abstain_below: float = ABSTAIN_BELOW) -> Demo:
    """The application of one model; call `.launch()` on it, or place it in other Blocks.

    model: a model folder, or a loaded model. home: where its backbone was fetched to, if it is not the embedded one.
    abstain_below: no class is named where the largest probability stays below this, in [0, 1]. Its endpoints are
    `/classify` (image, threshold -> probabilities, remark) and `/explain` (image, class -> maps, remark).
    Raises what `load_model` raises, and InvalidInput for another threshold.
    """
    if not 0 <= abstain_below <= 1:
        raise InvalidInput("A threshold between 0 and 1", f"found {abstain_below!r}", "Give abstain_below=0.5, say.")
    classifier = model if isinstance(model, Classifier) else load_model(model, home=home)
    with Demo(title=_title(classifier), analytics_enabled=False, delete_cache=(KEEP_S, KEEP_S)) as blocks:
        gr.Markdown(f"# {_escaped(_title(classifier))}\n\n{_lead(classifier)}\n\n**{DISCLAIMER}**")
        with gr.Row():
            with gr.Column(min_width=280):
                image = SentImage(type="filepath", sources=["upload", "clipboard"], label="Image", buttons=[])
                asked = gr.Dropdown([PREDICTED, *classifier.classes], value=PREDICTED, label="Explain")
                least = gr.Slider(0, 1, abstain_below, step=0.05, label="No answer below this probability")
                go = gr.Button("Classify", variant="primary")
            with gr.Column(min_width=280):
                bars = ProbabilityBars()
                remark = _remark()
        viewer = MapViewer()
        said = _remark()
        answered = go.click(_classify(classifier), [image, least], [bars, remark], api_name="classify")
        maps = _explain(classifier)
        answered.success(maps, [image, asked], [viewer, said], api_name="explain")
        asked.input(maps, [image, asked], [viewer, said], api_visibility="private")
        bars.select(_chosen, None, asked, api_visibility="private").then(
            maps, [image, asked], [viewer, said], api_visibility="private"
        )
        image.clear(lambda: (None, "", None, ""), None, [bars, remark, viewer, said], api_visibility="private")
    return blocks


def theme() -> gr.themes.Base:
    """Gradio's plain theme in the machine's own fonts: its usual ones come from a foreign server."""
    mono = ("ui-monospace", "Menlo", "monospace")
    return gr.themes.Base(font=[gr.themes.Font(n) for n in FONTS], font_mono=[gr.themes.Font(n) for n in mono])


def abstention(probabilities: dict[str, float], least: float) -> str | None:
    """Why no class is named, or None where one is likely enough. least: in [0, 1]."""
    top = max(probabilities, key=lambda name: probabilities[name])
    if probabilities[top] >= least:
        return None
    return f"the most likely class, '{top}', has a probability of {probabilities[top]:.2f}, below {least:.2f}."


def _classify(classifier: Classifier) -> Callable[[str | None, float], tuple[dict[str, Any], str]]:
    def classify(image: str | None, least: float = ABSTAIN_BELOW) -> tuple[dict[str, Any], str]:
        """Calibrated probabilities of one image."""
        with _told():
            found = classifier.probabilities([_picture(image)])[0].tolist()
        shares = dict(zip(classifier.classes, found, strict=True))
        return {"probabilities": shares, "abstain": abstention(shares, least)}, _calibration(classifier)

    return classify


def _explain(classifier: Classifier) -> Callable[[str | None, str], tuple[dict[str, Any], str]]:
    def explain(image: str | None, class_name: str = PREDICTED) -> tuple[dict[str, Any], str]:
        """Where the model looks in one image, for one class."""
        with _told():
            subject = Subject.of(classifier, _picture(image), None if class_name == PREDICTED else class_name)
            found = first_answer(subject)
        return viewer_value(found, seen_picture(subject)), "\n\n".join([found.text, *found.notes, DISCLAIMER])

    return explain


def _remark() -> gr.Textbox:
    """A place for sentences: as text, since they hold people's own names of classes."""
    return gr.Textbox(label="In words", interactive=False, lines=1, max_lines=30)


def _chosen(event: gr.EventData) -> str:
    """The class whose bar was chosen."""
    return str(event.label)


@contextmanager
def _told() -> Iterator[None]:
    """Our errors, which say what to do, become messages that Gradio shows."""
    try:
        yield
    except PromptoscopeError as error:
        raise gr.Error(error.sentence, print_exception=False) from None


def _picture(image: str | None) -> Any:
    if not image:
        raise InvalidInput("An image", "found none", "Choose a PNG, JPEG, TIFF, BMP or WebP file first.")
    return decode_image(Path(image))


def _title(classifier: Classifier) -> str:
    return str(classifier.card.get("title") or classifier.card["method"])


def _lead(classifier: Classifier) -> str:
    card = classifier.card
    learned = f", trained with {card['n_train']} images" if card.get("n_train") else ""
    names = ", ".join(_escaped(name) for name in classifier.classes)
    return f"Tells apart {names}{learned}, on the backbone {_escaped(classifier.backbone.name)}."


def _calibration(classifier: Classifier) -> str:
    card = classifier.card
    if not card.get("calibrated"):
        return "These probabilities are not calibrated: read their order, not their size."
    count = (card.get("calibration") or {}).get("n")
    return f"Calibrated on {count} images." if count else "Calibrated."


def _escaped(text: str) -> str:
    """Names of classes and files are people's own words: no mark-up of theirs is read."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+-.!|<>~" else sign for sign in text)
