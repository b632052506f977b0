"""One server, from the opened model to the last request.

Apart from `serve`, so that help and mistakes need no torch.
"""

from collections.abc import Callable, Mapping, Sequence

import uvicorn

from personascope.cli.serve_options import Job
from personascope.models.engine_choice import EngineChoice
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import check_hosted, open_engine
from personascope.models.precision import precision_named
from personascope.models.protocols import Chat, Engine
from personascope.models.quantising import quantization_named
from personascope.models.vllm.serving import hosted
from personascope.models.vllm.starting import Hosting
from personascope.serve.desk import Desk
from personascope.serve.personas import Persona, persona_in
from personascope.serve.vllm_server import serving
from personascope.serve.web import Office, pages
from personascope.wording import joined


def run_serve(job: Job, *, on: EngineChoice, precision: str, quantize: str | None, trust_remote_code: bool) -> None:
    """Open the model, put its personas on offer, and serve until Ctrl-C."""
    if on.name == "vllm":
        check_hosted(job.model, quantization_named(quantize))
        _serve_vllm(job, Hosting(on.tensor_parallel), precision, trust_remote_code=trust_remote_code)
        return
    engine = open_engine(job.model, None, precision=precision, quantize=quantize, trust_remote_code=trust_remote_code)
    office, notes = office_of(engine, job)
    _tell(job, office.personas, notes)
    uvicorn.run(pages(office), host=job.host, port=job.port, log_level="warning")


def office_of(engine: Engine, job: Job) -> tuple[Office, list[str]]:
    """What is served by an engine of ours, and what must be known about the vectors."""
    found = {name: persona_in(path, engine.spec, engine) for name, path in job.vectors.items()}
    n_tokens, context = _counter(engine)
    personas = {name: persona for name, (persona, _) in found.items()}
    return Office(job.model, Desk(engine), personas, n_tokens, context), _notes(found)


def _serve_vllm(job: Job, hosting: Hosting, precision: str, *, trust_remote_code: bool) -> None:
    one = hosted(job.model, precision_named(precision), hosting, trust_remote_code=trust_remote_code)
    found = {name: persona_in(path, one.spec) for name, path in job.vectors.items()}
    personas = {name: persona for name, (persona, _) in found.items()}
    with serving(one, job.vectors, personas, hosting, (job.host, job.port)) as running:
        _tell(job, personas, _notes(found))
        running.wait()


def _notes(found: Mapping[str, tuple[Persona, tuple[str, ...]]]) -> list[str]:
    return list(dict.fromkeys(note for _, notes in found.values() for note in notes))


def _tell(job: Job, personas: Mapping[str, Persona], notes: Sequence[str]) -> None:
    for note in notes:
        print(f"! {note}")
    where, names = f"http://{job.host}:{job.port}/v1", joined(list(personas))
    print(f"{job.model} with {names} at {where} (GET {where}/personas tells what is on offer)", flush=True)


def _counter(engine: object) -> tuple[Callable[[Chat], int], int | None]:
    """How many tokens a chat has, and how many fit; the toy counts words and has no end."""
    if isinstance(engine, HuggingFaceModel):
        loaded = engine.loaded
        return lambda chat: len(loaded.chat_format.tokens(chat).ids), loaded.context
    return lambda chat: len(chat.question.split()), None
