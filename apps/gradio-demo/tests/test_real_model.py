"""With the embedded model itself, through llama.cpp: it answers, its process is killed, it answers again."""

import pytest

pytest.importorskip("llama_cpp", reason="install ta-serve[llama-cpp]")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def opened(tmp_path_factory, domain):
    from tunedassist_gradio_demo.demo import open_demo

    demo = open_demo(tmp_path_factory.mktemp("real") / "none", model="smollm2-135m-instruct", domain=domain)
    yield demo
    demo.models.close()


def last(demo, question):
    from tunedassist_gradio_demo.talk.respond import respond

    *_, step = respond(demo.models, demo.guard, (), question, model=demo.models.names[0])
    return step.turn


def test_the_embedded_model_answers_and_its_rails_are_timed(opened):
    turn = last(opened, "How do I list hidden files?")
    assert turn.state == "done"
    assert turn.answer
    assert {event.stage for event in turn.events} == {"input", "output"}


def test_a_killed_engine_is_a_message_and_answers_again(opened):
    from tunedassist_gradio_demo.talk.respond import respond

    engine = opened.models.engine(opened.models.names[0])
    steps = respond(opened.models, opened.guard, (), "Write a long story.", model=opened.models.names[0])
    turn = None
    for step in steps:
        turn = step.turn
        if turn.state == "answering" and engine._child:
            engine._child.process.kill()
    assert turn.state == "failed"
    assert "engine died" in turn.note
    assert last(opened, "How do I list hidden files?").state == "done"
