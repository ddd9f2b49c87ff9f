import json
import shutil
from pathlib import Path

import pytest
from release_fixtures import ITEMS, make_run

from ta_schemas import Artifact

RUN, DOMAIN = Path("runs/tiny"), Path("data/tiny")


@pytest.fixture
def release(workplace, tunedassist):
    """Releases a run; gives its name in the registry."""

    def call(run="tiny"):
        code, printed, told = tunedassist("release", run, "--json")
        assert code == 0, told
        return json.loads(printed)["name"]

    return call


@pytest.fixture
def registry(workplace, tunedassist):
    """`tunedassist registry …`: what it prints as JSON."""

    def call(*arguments):
        code, printed, told = tunedassist("registry", *arguments, "--json")
        assert code == 0, told
        return json.loads(printed)

    return call


def test_a_release_is_the_domains_candidate(release, registry):
    name = release()
    entry = registry("show", "tiny/candidate")
    assert (entry["name"], entry["kind"]) == (name, "release")


def test_promoting_makes_the_candidate_champion(release, registry):
    name = release()
    assert registry("promote", "tiny") == {"champion": name, "before": ""}
    assert registry("show", "tiny/champion")["name"] == name


def second_run(right=ITEMS - 1):
    make_run(DOMAIN, Path("runs/second"), right=right, version="2")
    return "second"


def test_one_command_rolls_back_and_the_same_command_goes_forward_again(release, registry):
    first = release()
    registry("promote", "tiny")
    second = release(second_run())
    assert registry("promote", "tiny") == {"champion": second, "before": first}
    assert registry("rollback", "tiny") == {"champion": first, "before": second}
    assert registry("show", "tiny/champion")["name"] == first
    assert registry("rollback", "tiny") == {"champion": second, "before": first}


def test_a_certain_release_can_be_promoted(release, registry):
    first = release()
    release(second_run())
    assert registry("promote", "tiny", first)["champion"] == first


def test_there_is_nothing_to_roll_back_to_before_a_second_champion(release, registry, tunedassist):
    release()
    registry("promote", "tiny")
    code, _, told = tunedassist("registry", "rollback", "tiny")
    assert (code, "no champion before this one" in told) == (3, True)


def test_a_champion_that_was_tampered_with_is_not_rolled_back_to(release, registry, tunedassist):
    first = release()
    registry("promote", "tiny")
    release(second_run())
    registry("promote", "tiny")
    place = Path("runs") / registry("show", first)["path"].partition("runs/")[2]
    (place / "README.md").write_text("another card\n")
    code, _, told = tunedassist("registry", "rollback", "tiny")
    assert (code, "README.md" in told) == (4, True)
    assert registry("show", "tiny/champion")["name"] != first


def test_only_a_release_of_the_domain_becomes_champion(release, registry, tunedassist):
    name = release()
    registry("add", "runs/tiny/adapter", "--name", "an-adapter")
    code, _, told = tunedassist("registry", "promote", "tiny", "an-adapter")
    assert (code, "only a release can be champion" in told) == (3, True)
    code, _, told = tunedassist("registry", "promote", "other-domain", name)
    assert (code, "a release of tiny" in told) == (3, True)


def test_a_release_is_held_against_the_champion_on_the_same_questions(release, registry, tunedassist):
    release()
    registry("promote", "tiny")
    code, printed, _ = tunedassist("release", second_run(right=ITEMS // 2), "--json")
    assert code == 6
    champion = next(one for one in json.loads(printed)["conditions"] if one["name"] == "champion")
    assert champion["state"] == "fails"
    assert champion["found"].startswith("-50.0 points")


def test_a_release_is_attacked_as_the_champion_was(release, registry, tunedassist):
    release()
    registry("promote", "tiny")
    code, printed, told = tunedassist("release", second_run(right=ITEMS), "--json")
    assert code == 0, told
    states = {one["name"]: one["state"] for one in json.loads(printed)["conditions"]}
    assert states["champion, safety"] == "holds"
    with (DOMAIN / "domain.yaml").open("a") as file:
        file.write("  max_attack_success: 1.0\n  max_attack_increase: 0.2\n")
    code, printed, _ = tunedassist("release", "second", "--json")
    states = {one["name"]: one["state"] for one in json.loads(printed)["conditions"]}
    assert (code, states["champion, safety"]) == (6, "fails")


def test_a_champion_that_was_attacked_otherwise_cannot_be_compared(release, registry, tunedassist):
    release()
    registry("promote", "tiny")
    file = DOMAIN / "red-team.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    code, _, told = tunedassist("release", second_run())
    assert (code, "champion, safety is missing" in told) == (6, True)


def test_a_release_about_as_good_as_the_champion_passes(release, registry):
    release()
    registry("promote", "tiny")
    assert release(second_run(right=ITEMS)) != registry("show", "tiny/champion")["name"]


def test_the_bound_against_the_champion_is_the_domains(release, registry, tunedassist):
    release()
    registry("promote", "tiny")
    with (DOMAIN / "domain.yaml").open("a") as file:
        file.write("  max_regression: 0.9\n")
    code, _, told = tunedassist("release", second_run(right=ITEMS // 2))
    assert code == 0, told


def test_a_champion_of_other_questions_cannot_be_compared_and_does_not_pass(release, registry, tunedassist):
    release()
    registry("promote", "tiny")
    file = DOMAIN / "benchmark.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    code, _, told = tunedassist("release", second_run())
    assert (code, "champion is missing" in told) == (6, True)


def test_another_release_than_the_champion_can_be_named(release, tunedassist):
    release()
    shutil.move("runs/registry.sqlite", "gone.sqlite")
    (first,) = RUN.glob("releases/*")
    code, printed, told = tunedassist("release", second_run(right=ITEMS), "--champion", first, "--json")
    assert code == 0, told
    digest = Artifact.open(first).digest[7:15]
    assert any(digest in one["found"] for one in json.loads(printed)["conditions"])


def test_releasing_the_champion_again_compares_it_with_nobody(release, registry, tunedassist):
    name = release()
    registry("promote", "tiny")
    code, printed, told = tunedassist("release", "tiny", "--json")
    assert code == 0, told
    assert json.loads(printed)["name"] == name


def test_without_a_registry_there_is_no_champion(workplace):
    from tunedassist_cli.release.champion import champion_of

    assert champion_of("tiny", registry=Path("none.sqlite")) is None


def test_another_registry_can_be_promoted_in(release, registry, tunedassist):
    name = release()
    shutil.move("runs/registry.sqlite", "runs/other.sqlite")
    other = ("--registry", "runs/other.sqlite")
    assert registry("promote", "tiny", *other)["champion"] == name
    assert registry("show", "tiny/champion", *other)["name"] == name
    assert not Path("runs/registry.sqlite").exists()
