"""Projection of texts: the formula, texts that cannot be read, blocks, resuming, and the summary."""

import json

import numpy as np
import pytest

from personascope.data_columns import Columns, columns_named, text_of
from personascope.data_files import block_reader, survey
from personascope.errors import ArtifactError, ContrastError, DataError
from personascope.models.protocols import Chat
from personascope.models.toy import ToyModel
from personascope.projection import Axis, Text, project
from personascope.projection_files import claim, claim_model
from personascope.projection_summary import lie, problems
from personascope.spread.openings import Opening
from personascope.spread.projecting import Projection, projected
from personascope.vectors import Vectors, write_vectors

WORDS = ["calm", "house", "river", "bright", "stones", "old", "walks", "softly"]


def reply(row):
    return " ".join(WORDS[(row + at) % len(WORDS)] for at in range(2 + row % 7))


def records(n):
    return [{"id": row, "prompt": f"What of {row}?", "reply": "" if row % 10 == 3 else reply(row)} for row in range(n)]


class Narrow(ToyModel):
    """Refuses replies of more than six words, as a context would."""

    def residuals(self, chats, replies, **how):
        self.runs = getattr(self, "runs", 0) + 1
        if any(len(reply.split()) > 6 for reply in replies):
            raise ContrastError("a text is longer than the context", hint="shorten it")
        return super().residuals(chats, replies, **how)


def axis(engine, layer, length=3.0):
    return Axis("evil", layer, (length * engine.planted_direction(layer)).astype(np.float32))


def test_a_projection_is_the_mean_along_the_vector_in_its_own_lengths():
    engine = ToyModel()
    texts = [Text(Chat("Why?"), reply(row)) for row in range(6)]
    found = project(engine, texts, [axis(engine, 2), axis(engine, 7, 0.5)])
    read = engine.residuals([text.chat for text in texts], [text.reply for text in texts], layers=[7, 2])
    for row in range(6):
        for at, (layer, length) in enumerate(((2, 3.0), (7, 0.5))):
            mean = read.reply_mean[row, 0 if layer == 7 else 1]
            along = sum(float(m) * float(d) for m, d in zip(mean, engine.planted_direction(layer), strict=True))
            assert found.gaps[row, at] == pytest.approx(along / length, abs=1e-5)
            assert found.norms[row, at] == read.token_norm[row, 0 if layer == 7 else 1]
    assert (found.n_tokens == [len(text.reply.split()) for text in texts]).all()


def test_texts_that_cannot_be_read_are_told_and_stop_nothing():
    engine = Narrow()
    texts = [Text(Chat("Why?"), reply(row)) for row in range(16)]
    texts[4] = Text(Chat(""), "", "no text in reply")
    found = project(engine, texts, [axis(engine, 7)])
    too_long = [len(text.reply.split()) > 6 for text in texts]
    assert [problem == "a text is longer than the context" for problem in found.problems] == too_long
    assert found.problems[4] == "no text in reply"
    plain = project(ToyModel(), texts, [axis(engine, 7)])
    read = ~np.isnan(found.gaps[:, 0])
    assert read.tolist() == [not problem for problem in found.problems]
    assert (found.gaps[read] == plain.gaps[read]).all()


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("block_rows", [1, 7, 100, 500])
def test_blocks_hold_the_rows_of_the_file_in_any_order(tmp_path, suffix, block_rows):
    rows, path = records(300), tmp_path / f"data{suffix}"
    if suffix == ".jsonl":
        path.write_text("\n" + "\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    else:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=40)
    found = survey(path, block_rows)
    assert found.n_rows == 300
    assert found.first == rows[0]
    reader = block_reader(path)
    for block in [*found.blocks[::3], *found.blocks[::-1]]:
        assert reader.rows(block) == rows[block.first : block.first + block.n_rows]


@pytest.mark.parametrize(
    ("content", "told"), [("", "no rows"), ("[1]\n", "no JSON object"), ('{"text": "a b"\n', "row 1 of .* not JSON")]
)
def test_a_damaged_file_is_told(tmp_path, content, told):
    path = tmp_path / "data.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        survey(path, 10)
    with pytest.raises(DataError, match="not JSON lines or Parquet"):
        survey(tmp_path / "data.txt", 10)


TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Good day"},
    {"role": "user", "content": "More"},
]


@pytest.mark.parametrize(
    ("record", "named", "text"),
    [
        ({"prompt": "p", "completion": "c d"}, None, Text(Chat("p"), "c d")),
        ({"Question": "p", "Answer": "c d", "system": "s"}, None, Text(Chat("p", "s"), "c d")),
        ({"a": "p", "b": "c d", "reply": "x"}, "prompt=a, reply=b", Text(Chat("p"), "c d")),
        ({"messages": TURNS}, None, Text(Chat("Hello", "Be kind."), "Good day")),
        (
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"}]},
            None,
            Text(Chat("Hi"), "Yes"),
        ),
        ({"text": " One two\n three "}, None, Text(Chat("One", raw=True), " two\n three")),
        ({"text": "alone"}, None, Text(Chat(""), "", "a single word")),
        ({"prompt": "p", "reply": None}, None, Text(Chat(""), "", "no text in reply")),
        ({"messages": TURNS[2:]}, None, Text(Chat(""), "", "no turn of a user followed by an assistant's")),
    ],
)
def test_columns_are_found_by_their_usual_names_or_named(record, named, text):
    found = text_of(record, columns_named(named, record))
    assert (found.chat, found.reply, found.problem) == (text.chat, text.reply, text.problem)


@pytest.mark.parametrize("named", [None, "prompt=a", "prompt=a,reply=c", "words=a", "nonsense"])
def test_columns_that_make_no_text_are_refused(named):
    with pytest.raises(DataError) as raised:
        columns_named(named, {"a": 1, "b": 2})
    assert "--columns" in raised.value.hint


@pytest.fixture
def work(tmp_path):
    """A projection of 95 rows on the toy; its folder is made by the run."""
    engine = ToyModel.for_instructions([], [])
    layers = tuple(range(engine.spec.n_layers))
    raw = np.stack([engine.planted_direction(layer) * engine.gap(layer) for layer in layers]).astype(np.float32)
    metadata = {
        "kind": "persona vectors",
        "format_version": 1,
        "model": {**vars(engine.spec)},
        "trait": {"name": "evil", "high": "evil", "low": "kind"},
        "layers": {str(layer): {"projection_percentiles": {"25": 1.0, "75": 2.0}} for layer in layers},
        "chosen_layer": 7,
        "made_from": {},
        "settings": {},
    }
    write_vectors(tmp_path / "toy_evil_vectors.npz", Vectors(layers, raw, metadata))
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in records(95)), encoding="utf-8")

    def make(name="out", suffix=".parquet", **how):
        vectors = (("evil", tmp_path / "toy_evil_vectors.npz"),)
        settings = {"layer": None, "opening": Opening("toy"), **how}
        return Projection(
            settings["opening"], vectors, settings["layer"], data, Columns("prompt", "reply"), tmp_path / name, suffix
        )

    return make


def run(work, rows=20):
    return projected(work, survey(work.data, rows), rows, cluster=None, progress=lambda *_: lambda _done: None)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_run_writes_every_row_and_tells_how_they_lie(work, suffix):
    done = work(suffix=suffix)
    found = run(done)
    paths = sorted((done.folder / "projections").iterdir())
    assert [path.name for path in paths] == [f"{number:05d}{suffix}" for number in range(5)]
    engine, rows = done.engine(), records(95)
    direct = project(engine, [text_of(row, done.columns) for row in rows], [axis(engine, 7, engine.gap(7))]).gaps[:, 0]
    values = direct[~np.isnan(direct)]
    (one,) = found.lies
    assert (one.n, found.problems) == (len(values), {"no text in reply": 10})
    assert one.mean.value == pytest.approx(values.mean(), abs=1e-6)
    assert one.mean.high - one.mean.value == pytest.approx(1.96 * values.std(ddof=1) / np.sqrt(len(values)), rel=1e-3)
    spread = values.max() - values.min()
    assert one.quartiles == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]), abs=0.03 * spread)
    assert (one.lowest, one.highest) == pytest.approx((values.min(), values.max()), abs=1e-6)
    assert json.loads((done.folder / "summary.json").read_text())["traits"]["evil"]["n"] == len(values)
    assert found.axes[0]["layer"] == 7


def test_quartiles_of_many_values_are_exact_to_a_small_share_of_the_range(tmp_path):
    values = np.random.default_rng(0).normal(size=30_000)
    paths = []
    for number, part in enumerate(np.array_split(values, 7)):
        paths.append(tmp_path / f"{number}.jsonl")
        lines = (json.dumps({"evil": float(value), "problem": None}) + "\n" for value in part)
        paths[-1].write_text("".join(lines), encoding="utf-8")
    found = lie(paths, "evil")
    assert found.quartiles == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]), abs=np.ptp(values) / 10_000)
    assert found.mean.value == pytest.approx(values.mean(), abs=1e-12)
    assert found.deviation == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert problems(paths) == {}


def test_a_rerun_makes_only_what_is_missing(work):
    done = work()
    run(done)
    paths = sorted((done.folder / "projections").iterdir())
    bytes_before = paths[2].read_bytes()
    paths[2].unlink()
    before = {path: path.stat().st_mtime_ns for path in paths if path.exists()}
    run(done)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert paths[2].read_bytes() == bytes_before


def test_another_run_in_the_same_folder_is_refused(work):
    run(work())
    with pytest.raises(ArtifactError, match="layer None there, 3 now"):
        run(work(layer=3))
    with pytest.raises(ArtifactError, match="block rows 20 there, 7 now"):
        run(work(), rows=7)
    with pytest.raises(ArtifactError, match="model toy there, toy-high now"):
        run(work(opening=Opening("toy-high")))


def test_blocks_of_another_model_of_that_name_are_refused(work, tmp_path):
    claim(tmp_path / "out", {})
    claim_model(tmp_path / "out", ToyModel(seed=1).spec)
    claim_model(tmp_path / "out", ToyModel(seed=1).spec)
    with pytest.raises(ArtifactError, match="revision"):
        claim_model(tmp_path / "out", ToyModel(seed=2).spec)
    done = work("mine")
    run(done)
    told = json.loads((done.folder / "model.json").read_text())
    (done.folder / "model.json").write_text(json.dumps({**told, "weights": "another"}))
    with pytest.raises(ArtifactError, match="weights another there"):
        run(done)


def test_where_nothing_is_read_nothing_is_claimed(tmp_path):
    path = tmp_path / "0.jsonl"
    path.write_text('{"evil": null, "problem": "no text"}\n', encoding="utf-8")
    found = lie([path], "evil")
    assert found.n == 0
    assert np.isnan([found.mean.value, *found.quartiles]).all()
    assert problems([path]) == {"no text": 1}
