"""Lines that the terminal or the pipe cannot hold are escaped, never a failure."""

from __future__ import annotations

import io
import json

import pytest

from app.commands.output import Output


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_names_that_are_no_text_are_written_with_escapes(encoding):
    name = "n\udce4 \U0001f642.png"
    for as_json in (True, False):
        file = io.BytesIO()
        stream = io.TextIOWrapper(file, encoding=encoding)
        Output(as_json, stream).row({"file": name}, f"{name}: damaged")
        written = file.getvalue().decode(encoding)
        if as_json:
            assert json.loads(written) == {"file": name}
        else:
            assert written.startswith("n\\udce4 ")
