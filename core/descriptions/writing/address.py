"""The address of an endpoint: which ones may be called, and which of them lie near."""

from __future__ import annotations

import ipaddress
import socket

import httpx

from core.descriptions.writing.writer import WriterAway
from core.errors import InvalidOption
from core.text import shown, text_fault

PATH = "chat/completions"
SETTING = "PROMPTOSCOPE_LLM_BASE_URL"


def completions_url(base: str) -> httpx.URL:
    """The address that questions go to. Raises InvalidOption for one that is none, or that carries a secret."""
    expected = f"{SETTING} is an address such as http://127.0.0.1:11434/v1"
    if text_fault(base):
        raise InvalidOption(expected, "found control characters", "Write it without them.")
    try:
        url = httpx.URL(base.strip())
    except httpx.InvalidURL as error:
        raise InvalidOption(expected, f"found none ({error})", "Correct it.") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise InvalidOption(expected, "found no http or https address", "Correct it.")
    if url.userinfo or url.query or url.fragment:
        raise InvalidOption(
            expected, "found a name, a password or parameters in it", "Give the key as PROMPTOSCOPE_LLM_API_KEY."
        )
    path = url.path.rstrip("/").removesuffix(f"/{PATH}")
    return url.copy_with(path=f"{path}/{PATH}")


def is_near(host: str) -> bool:
    """Whether a host is this machine or lies in a private network, by all addresses its name has.

    Raises WriterAway for a name without any.
    """
    try:
        found = {ipaddress.ip_address(host)}
    except ValueError:
        try:
            known = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            raise WriterAway(
                "The language model's address", f"nobody knows the name '{shown(host, 80)}'", "Correct it.", stop=True
            ) from None
        found = {ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in known}
    return all(each.is_loopback or each.is_private or each.is_link_local for each in found)


def check_encryption(url: httpx.URL, *, allowed: bool) -> None:
    """Raise InvalidOption where names and key would cross a foreign network in the clear. allowed: it may be so."""
    if url.scheme == "http" and not allowed and not is_near(url.host):
        raise InvalidOption(
            "An address of another network begins with https",
            f"found http for '{shown(url.host, 80)}'",
            "Use https, or set PROMPTOSCOPE_LLM_ALLOW_HTTP=true if the way there is safe.",
        )
