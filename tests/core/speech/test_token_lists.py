"""Lists of tokens are emptied where the tokenizer fills them anew, and nowhere else."""

from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.speech import token_lists

TOKENS = st.lists(st.text(max_size=5), max_size=12)


def emptied(config: dict, folder: Path) -> dict:
    """Write a configuration as NeMo does, empty its lists and read it again."""
    path = folder / "model_config.yaml"
    path.write_text(yaml.dump(config))
    token_lists.empty(path)
    return yaml.safe_load(path.read_text())


@given(TOKENS, TOKENS, TOKENS)
def test_whatever_the_tokens_are_the_rest_of_the_configuration_stays(
    tmp_path_factory, labels, vocabulary, durations
):
    """Also other lists, and what follows a list."""
    rest = {"durations": durations, "loss": {"sigma": "1e-3", "omega": 0.1}, "tokenizer": {"a": 1}}
    config = rest | {"labels": labels, "joint": {"vocabulary": vocabulary, "width": 4}}
    found = emptied(config, tmp_path_factory.mktemp("config"))
    assert {name: found[name] for name in rest} == rest
    assert found["joint"]["width"] == 4
    assert (found["labels"], found["joint"]["vocabulary"]) == ([], [])


def test_a_model_without_a_tokenizer_keeps_its_tokens(tmp_path):
    """They are written nowhere else."""
    config = {"decoder": {"vocabulary": ["a", "b"]}}
    assert emptied(config, tmp_path) == config
