"""Files are whole or absent, say what they are, and are refused where they do not fit."""

import json
import zipfile

import numpy as np
import pytest

from personascope import artifacts
from personascope.artifacts import check_header, finite, header, read_json, write_json, write_whole
from personascope.errors import ArtifactError
from personascope.models.protocols import ModelSpec
from personascope.rollouts import read_rollouts
from personascope.vectors import KIND, Vectors, read_vectors, write_vectors

SPEC = ModelSpec("some/model", 12, 8, "float32")


def vectors(seed=0):
    told = header(KIND, model=SPEC, made_from={}, settings={}) | {"layers": {"3": {}, "10": {}}}
    return Vectors((3, 10), np.random.default_rng(seed).normal(size=(2, 8)).astype(np.float32), told)


def test_numpy_alone_reads_the_vectors_file(tmp_path):
    path, made = tmp_path / "v.npz", vectors()
    write_vectors(path, made)
    with np.load(path) as arrays:
        assert set(arrays) == {
            "layer_3_vector",
            "layer_3_vector_norm",
            "layer_10_vector",
            "layer_10_vector_norm",
            "metadata",
        }
        np.testing.assert_array_equal(arrays["layer_10_vector"], made.raw[1])
        assert arrays["layer_3_vector_norm"].dtype == np.float32
        assert np.linalg.norm(arrays["layer_3_vector_norm"]) == pytest.approx(1, abs=1e-6)
        told = json.loads(str(arrays["metadata"]))
    assert "after decoder block k, counted from 0" in told["convention"]
    assert told["model"]["name"] == "some/model"


def test_a_vectors_file_reads_back_and_the_same_vectors_give_the_same_bytes(tmp_path):
    one, two = tmp_path / "1.npz", tmp_path / "2.npz"
    write_vectors(one, vectors())
    write_vectors(two, vectors())
    assert one.read_bytes() == two.read_bytes()
    found = read_vectors(one)
    assert found.layers == (3, 10)
    np.testing.assert_array_equal(found.raw, vectors().raw)


@pytest.mark.parametrize("kind", ["text", "truncated", "no metadata", "pickled", "other kind", "empty zip"])
def test_what_is_no_vectors_file_is_refused(tmp_path, kind):
    path = tmp_path / "v.npz"
    write_vectors(path, vectors())
    if kind == "text":
        path.write_text("not a zip")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "no metadata":
        np.savez(path, layer_3_vector=np.ones(3))
    elif kind == "pickled":
        np.savez(path, metadata=np.array({"kind": KIND}, dtype=object))
    elif kind == "other kind":
        np.savez(path, metadata=np.array(json.dumps({"kind": "separation", "format_version": 1})))
    else:
        with zipfile.ZipFile(path, "w"):
            pass
    with pytest.raises(ArtifactError) as caught:
        read_vectors(path)
    assert caught.value.hint


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail(part):
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="could not be written"):
        write_json(tmp_path / "file" / "a.json", {})


def test_headers_are_checked(tmp_path):
    told = header("x", model=SPEC, made_from={}, settings={})
    check_header(told, "x", tmp_path)
    with pytest.raises(ArtifactError, match="holds x, not y"):
        check_header(told, "y", tmp_path)
    with pytest.raises(ArtifactError, match="has format 99"):
        check_header(told | {"format_version": 99}, "x", tmp_path)


def test_numbers_that_are_not_finite_become_null():
    assert finite({"a": [float("nan"), 1.0], "b": float("-inf"), 3: (2,)}) == {"a": [None, 1.0], "b": None, "3": [2]}


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_json_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ArtifactError):
        read_json(path)


def test_a_damaged_rollout_is_named_by_its_line(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"pole": "high"}\n')
    with pytest.raises(ArtifactError, match="line 1"):
        list(read_rollouts(path))


def test_digests_are_of_content_not_of_order():
    assert artifacts.digest({"a": 1, "b": 2}) == artifacts.digest({"b": 2, "a": 1}) != artifacts.digest({"a": 1})
