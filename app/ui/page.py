"""What every page has: a name in the navigation, an address, and one sentence that says what it is for."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True)
class Page:
    """One page of the site.

    name: the word in the navigation and the page's only h1. path: the address without slashes, "" for the first page.
    lead: one or two sentences under the heading. heading: the h1 where it should say more than the name.
    """

    name: str
    path: str
    lead: str
    heading: str = ""

    @property
    def href(self) -> str:
        """The address of the page from the root of the site."""
        return f"/{self.path}"

    @property
    def title(self) -> str:
        """What the browser shows in the tab."""
        return f"{self.name} - Promptoscope" if self.path else "Promptoscope"


def element(tag: str, **attributes: str) -> gr.HTML:
    """Place the custom element `tag` (say `ps-upload`), which `static/js/upload.js` defines, on this page.

    attributes: fixed texts of our own, underscores becoming hyphens. Never pass data here: it is written into HTML and
    run through a template; elements fetch what they show from the API.
    """
    written = "".join(f' {name.replace("_", "-")}="{text}"' for name, text in attributes.items())
    return gr.HTML(f"<{tag}{written}></{tag}>", js_on_load=None, apply_default_css=False, elem_classes=["ps-slot"])
