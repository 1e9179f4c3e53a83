"""Scripts that make a shell complete the commands, their options and what these take."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    help: str
    options: tuple[argparse.Action, ...]

    @property
    def words(self) -> str:
        """What can follow the command, for bash."""
        return " ".join(
            word for action in self.options for word in (*action.option_strings, *_choices(action))
        )


def completion(shell: str, parser: argparse.ArgumentParser) -> str:
    """Return the script for a shell."""
    commands = list(_commands(parser))
    if shell == "fish":
        return "".join(f"{line}\n" for line in _fish(parser.prog, commands))
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return head + _bash(parser.prog, commands)


def _commands(parser: argparse.ArgumentParser) -> Iterator[_Command]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                yield _Command(name, helps[name], tuple(command._actions))


def _choices(action: argparse.Action) -> tuple[str, ...]:
    return tuple(map(str, action.choices or ()))


def _bash(prog: str, commands: list[_Command]) -> str:
    function = f"_{prog.replace('-', '_')}"
    cases = "".join(f"    {one.name}) words='{one.words}' ;;\n" for one in commands)
    names = " ".join(one.name for one in commands)
    return f"""\
{function}() {{
  local words='{names} --help --version'
  [ "$COMP_CWORD" -eq 1 ] || case "${{COMP_WORDS[1]}}" in
{cases}  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F {function} {prog}
"""


def _fish(prog: str, commands: list[_Command]) -> Iterator[str]:
    for one in commands:
        yield f"complete -c {prog} -n __fish_use_subcommand -a {one.name} -d {_quoted(one.help)}"
        seen = f"-n '__fish_seen_subcommand_from {one.name}'"
        for action in one.options:
            about = f" -d {_quoted(action.help)}" if action.help else ""
            takes = " -r" if action.nargs != 0 else ""
            for option in action.option_strings:
                if option.startswith("--"):
                    yield f"complete -c {prog} {seen} -l {option[2:]}{takes}{about}"
            if not action.option_strings and action.choices:
                yield f"complete -c {prog} {seen} -f -a {_quoted(' '.join(_choices(action)))}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
