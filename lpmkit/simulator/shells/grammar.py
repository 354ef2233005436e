"""Cutting a command line into commands: quotes, ``;``, ``&&``, ``||``, ``|``, leading assignments, three redirections.

This is as much of the Korn shell as an administrator's one-liners need; there are no loops, functions or globs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_OPERATOR = re.compile(r"&&|\|\||[;|\n]")
#: What means itself outside of quotes, and between double ones.
_PLAIN, _PLAIN_IN_QUOTES = re.compile(r"[^ \t\r\n;|&'\"\\$]+"), re.compile(r"[^\"\\$]+")
_REDIRECTION = re.compile(r"^(2>&1|2>/dev/null|1?>/dev/null)$")
_ASSIGNMENT = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$", re.DOTALL)
_VARIABLE = re.compile(r"\$(\?|\$|[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})")


class SyntaxProblem(Exception):
    """The line is not one that this shell understands; the text is what the shell says."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, the assignments before it, where its output goes."""

    words: tuple[str, ...]
    assignments: tuple[tuple[str, str], ...] = ()
    redirections: frozenset[str] = field(default=frozenset())

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Step:
    """A pipeline, and when it runs: ``;`` always, ``&&`` after success, ``||`` after failure."""

    after: str
    pipeline: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    operator: bool = False
    quoted: bool = False


def parse(line: str, variables: Mapping[str, str] | None = None) -> tuple[Step, ...]:
    """Cut a line into steps. Raises `SyntaxProblem`.

    >>> [step.pipeline[0].words for step in parse("LANG=C lssyscfg -r sys; echo 'a;b' && hostname")]
    [('lssyscfg', '-r', 'sys'), ('echo', 'a;b'), ('hostname',)]
    """
    return _parsed(line, tuple((variables or {}).items()))


@lru_cache(maxsize=1024)
def _parsed(line: str, variables: tuple[tuple[str, str], ...]) -> tuple[Step, ...]:
    """A survey types the same lines again and again."""
    steps: list[Step] = []
    after, pipeline, words = ";", [], list[_Token]()
    for token in [*_tokens(line, dict(variables)), _Token(";", operator=True)]:
        if not token.operator:
            words.append(token)
            continue
        if words:
            pipeline.append(_command(words))
        elif pipeline or token.text in ("|", "&&", "||"):
            raise SyntaxProblem(f"ksh: 0403-057 Syntax error: `{token.text.strip() or 'newline'}' is not expected.")
        words = []
        if token.text != "|":
            if pipeline:
                steps.append(Step(after, tuple(pipeline)))
            after, pipeline = (";" if token.text == "\n" else token.text), []
    return tuple(steps)


def _command(tokens: list[_Token]) -> Command:
    assignments: list[tuple[str, str]] = []
    words: list[str] = []
    redirections: set[str] = set()
    for token in tokens:
        assigned = _ASSIGNMENT.match(token.text)
        if not token.quoted and _REDIRECTION.match(token.text):
            redirections.add(token.text.lstrip("1"))
        elif assigned and not words:
            assignments.append((assigned[1], assigned[2]))
        else:
            words.append(token.text)
    return Command(tuple(words), tuple(assignments), frozenset(redirections))


def _tokens(line: str, variables: Mapping[str, str]) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(line):
        operator = _OPERATOR.match(line, at)
        if operator:
            tokens.append(_Token(operator[0], operator=True))
            at = operator.end()
        elif line[at] in " \t\r":
            at += 1
        elif line[at] == "#":
            at = len(line) if "\n" not in line[at:] else line.index("\n", at)
        else:
            token, at = _word(line, at, variables)
            tokens.append(token)
    return tokens


def _word(line: str, at: int, variables: Mapping[str, str]) -> tuple[_Token, int]:
    parts: list[str] = []
    quoted = False
    while at < len(line):
        if plain := _PLAIN.match(line, at):
            parts.append(plain[0])
            at = plain.end()
            continue
        char = line[at]
        if char in " \t\r\n;|" or line.startswith("&&", at):
            break
        if char in "'\"":
            text, at = _quoted(line, at, variables)
            parts.append(text)
            quoted = True
        elif char == "\\":
            parts.append(line[at + 1 : at + 2])
            quoted = True
            at += 2
        else:
            text, at = _bare(line, at, variables)
            parts.append(text)
    return _Token("".join(parts), quoted=quoted), at


def _bare(line: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    variable = _VARIABLE.match(line, at)
    if variable:
        return variables.get(variable[1].strip("{}"), ""), variable.end()
    return line[at], at + 1


def _quoted(line: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    quote, at, parts = line[at], at + 1, list[str]()
    if quote == "'" and (end := line.find(quote, at)) >= 0:
        return line[at:end], end + 1
    while quote == '"' and at < len(line):
        char = line[at]
        if plain := _PLAIN_IN_QUOTES.match(line, at):
            parts.append(plain[0])
            at = plain.end()
        elif char == quote:
            return "".join(parts), at + 1
        elif char == "\\" and line[at + 1 : at + 2] in ('"', "\\", "$", "`"):
            parts.append(line[at + 1])
            at += 2
        else:
            text, at = _bare(line, at, variables)
            parts.append(text)
    raise SyntaxProblem(f"ksh: 0403-057 Syntax error: `{quote}' is not matched.")
