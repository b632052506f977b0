"""Several traits in one go: as alone, going on after an error or Ctrl-C, told side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest

from personascope.artifacts import read_json
from personascope.cli import batch_job
from personascope.cli.batch_job import Batch, run_batch
from personascope.cli.job import Job, contrast_named, extracted
from personascope.cli.printing import Interrupted
from personascope.cli.trait_names import is_batch, names_of, traits_named
from personascope.errors import ContrastError, LayerError, UserError
from personascope.models.answered_once import AnsweredOnce
from personascope.models.toy import ToyModel
from personascope.neutral import neutral
from personascope.prompts import PROTOCOLS
from personascope.traits import catalogue_names, load_trait, trait_file
from personascope.vectors import read_vectors

QUICK, LAYERS = PROTOCOLS["quick"], (5, 6, 7)
TRAITS = (load_trait("openness"), load_trait("evil"))


def batch(folder, traits=TRAITS, **other):
    settings = {"refused": {}, "source": "rollouts", "protocol": QUICK, "layers": LAYERS, "seed": 0, "calibrate": False}
    return Batch(traits, save_dir=folder, **(settings | other))


def one_model():
    """A toy on which the texts of all the traits lean as they should: one model for several traits."""
    pairs = [pair for trait in TRAITS for pair in (*trait.instructions.extract, *trait.instructions.evaluate)]
    return ToyModel.for_instructions([pair.high for pair in pairs], [pair.low for pair in pairs])


class Counting(AnsweredOnce):
    """Counts how often neutral prompts are answered."""

    def __init__(self, engine):
        super().__init__(engine)
        self.chats, self.stop_at = [], None

    def generate(self, chats, sampling, **settings):
        before = self._engine.n_forwards
        if self.stop_at and any(self.stop_at == chat.question for chat in chats):
            raise KeyboardInterrupt
        made = super().generate(chats, sampling, **settings)
        self.chats += [chat.question for chat in chats if self._engine.n_forwards > before]
        return made


@pytest.fixture
def model(monkeypatch):
    engine = Counting(one_model())
    monkeypatch.setattr(batch_job, "open_engines", lambda _name, **_how: lambda _trait: engine)
    return engine


def quiet(_what, _total):
    return lambda _done: None


def test_one_model_serves_all_traits_and_gives_each_what_it_would_have_alone(model, tmp_path, capsys):
    run_batch("toy", batch(tmp_path / "all", calibrate=True))
    first = neutral().prompts[0]
    assert model.chats.count(first) == 1
    for trait in TRAITS:
        job = Job(trait, contrast_named(trait, "rollouts", QUICK), LAYERS, 0, tmp_path / "one", trial=QUICK)
        extracted(one_model(), job, tmp_path / "one" / f"toy_{trait.name}", quiet)
        for ending in ("vectors.npz", "analysis.json", "rollouts.jsonl", "evaluation_rollouts.jsonl"):
            ours, alone = (tmp_path / where / f"toy_{trait.name}_{ending}" for where in ("all", "one"))
            assert ours.read_bytes() == alone.read_bytes(), ending
    told = capsys.readouterr().out
    assert "openness (1 of 2): undecided: nested" in told and "evil (2 of 2): " in told and "; steering " in told


def test_all_is_told_side_by_side(model, tmp_path, capsys):
    run_batch("toy", batch(tmp_path, calibrate=True), quiet=True)
    printed = json.loads(capsys.readouterr().out)
    told = read_json(tmp_path / "toy_traits.json")
    assert printed == told and list(told["traits"]) == ["openness", "evil"] and told["failed"] == {}
    for name, row in told["traits"].items():
        own = read_json(tmp_path / f"toy_{name}_analysis.json")
        assert row["layer"] == own["chosen_layer"] and row["auc"] == own["summary"]["nested_auc"]
        assert row["p"] == own["summary"]["p"] and row["line"] == own["verdict"]["line"]
        assert row["steering"]["word"] == own["steering"]["word"]
        assert row["steering"]["safe_rho"] == own["steering"]["safe"]
        gaps = own["steering"]["costs"][0]["strength"] / own["steering"]["costs"][0]["rho"]
        assert row["steering"]["safe_gaps"] == pytest.approx([gaps * rho for rho in own["steering"]["safe"]])
    one, two = (read_vectors(tmp_path / f"toy_{trait.name}_vectors.npz").raw for trait in TRAITS)
    alike = told["likeness"]
    assert alike["layer"] == 6 and set(alike["cosines_by_layer"]) == {"5", "6", "7"}
    cosine = one[1] @ two[1] / np.linalg.norm(one[1]) / np.linalg.norm(two[1])
    assert alike["cosines"][0][1] == pytest.approx(cosine, abs=1e-5) == alike["cosines_by_layer"]["6"][1][0]
    assert (tmp_path / "toy_traits_cosines.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "toy_traits_index.html").exists()


def test_the_toy_has_an_engine_for_each_trait_and_says_that_its_cosines_mean_little(tmp_path, capsys):
    run_batch("toy", batch(tmp_path))
    assert "engine of its own, as the toy needs" in capsys.readouterr().out
    files = [read_json(tmp_path / f"toy_{trait.name}_analysis.json") for trait in TRAITS]
    assert files[0]["model"]["revision"] != files[1]["model"]["revision"]


def test_an_error_of_one_trait_is_told_and_the_others_go_on(tmp_path, capsys):
    run_batch("toy", batch(tmp_path, TRAITS[:1], seed=1))
    refused = {"charm": UserError("there is no trait 'charm'", hint="choose another")}
    capsys.readouterr()
    with pytest.raises(UserError, match="2 of 3 traits failed: charm, openness") as failed:
        run_batch("toy", batch(tmp_path, refused=refused))
    assert "same command runs only what is missing" in failed.value.hint
    shown = capsys.readouterr()
    assert "! openness failed: another run is finished" in shown.err and "seed 1 there, 0 now" in shown.err
    assert "charm failed: there is no trait 'charm'. Hint: choose another" in shown.out
    told = read_json(tmp_path / "toy_traits.json")
    assert list(told["traits"]) == ["evil"] and set(told["failed"]) == {"charm", "openness"}
    assert "likeness" not in told and not (tmp_path / "toy_traits_cosines.png").exists()
    assert "charm" in (tmp_path / "toy_traits_index.html").read_text()


def test_where_nothing_comes_about_nothing_is_written(tmp_path):
    with pytest.raises(LayerError, match="layer 40 does not exist"):
        run_batch("toy", batch(tmp_path, layers=[40]))
    with pytest.raises(ContrastError, match="several traits are asked for"):
        run_batch("toy", batch(tmp_path, source="mine.jsonl"))
    with pytest.raises(ContrastError, match="there is no contrast 'reply'"):
        run_batch("toy", batch(tmp_path, source="reply"))
    bare = replace(TRAITS[0], replies=())
    with pytest.raises(UserError, match=r"no trait was finished; openness: .* no matched replies"):
        run_batch("toy", batch(tmp_path, [bare], source="replies"))
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(model, tmp_path, capsys):
    model.stop_at = TRAITS[1].questions.extract[0]
    with pytest.raises(Interrupted, match=r"1 of 2 traits finished \(openness\); the same command goes on from there"):
        run_batch("toy", batch(tmp_path, calibrate=True))
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.glob("toy_traits*"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("toy_openness*")}
    model.stop_at, model.chats = None, []
    capsys.readouterr()
    run_batch("toy", batch(tmp_path, calibrate=True))
    assert "finished before, read and not run again" in capsys.readouterr().out.splitlines()[0]
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    assert not set(model.chats) & set(TRAITS[0].questions.extract) - set(TRAITS[1].questions.extract)
    assert list(read_json(tmp_path / "toy_traits.json")["traits"]) == ["openness", "evil"]


def test_ctrl_c_at_the_trial_keeps_the_replies(model, tmp_path):
    model.stop_at = neutral().prompts[0]
    with pytest.raises(Interrupted, match=r"^of openness all replies and activations are kept; the same command"):
        run_batch("toy", batch(tmp_path, calibrate=True))
    model.stop_at = TRAITS[0].questions.extract[0]
    with pytest.raises(Interrupted, match=r"^nothing was written$"):
        run_batch("toy", batch(tmp_path / "other"))


def test_which_traits_are_named(tmp_path):
    assert names_of(["openness, evil", "sycophancy", "evil"]) == ["openness", "evil", "sycophancy"]
    mine = tmp_path / "a, b.yaml"
    mine.write_text("name: x")
    assert names_of([str(mine)]) == [str(mine)]
    assert is_batch(["openness", "evil"]) and is_batch(["ALL"]) and not is_batch(names_of(["evil,evil"]))
    traits, refused = traits_named(["evil", "all", "charm", "Evil"])
    assert [trait.name for trait in traits] == ["evil", *(name for name in catalogue_names() if name != "evil")]
    assert list(refused) == ["charm"] and len(traits) == 11


def test_two_traits_of_one_name_are_refused(tmp_path):
    text = (tmp_path / "x").with_suffix(".yaml")
    for folder, word in (("a", "hope"), ("b", "other")):
        (tmp_path / folder).mkdir()
        body = trait_file("extraversion").replace("name: extraversion", "name: hope", 1)
        (tmp_path / folder / text.name).write_text(
            body + f"\n# {word}\n" if word == "hope" else body.replace("?", "??", 1)
        )
    traits, refused = traits_named([str(tmp_path / folder / text.name) for folder in "ab"])
    assert [trait.name for trait in traits] == ["hope"] and "another trait that is asked for, hope" in str(
        *refused.values()
    )
