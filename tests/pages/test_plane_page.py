"""Films of games in the plane: what each frame says, by hand; and what the page holds of them."""

import base64
import json
import re

import numpy as np
import pytest
from example_scripts import example

import minigan as mg
from minigan import data, pages
from minigan.errors import ShapeError
from minigan.gan import ScoreGame, Sight, losses, normal_latent
from minigan.gan.jacobian import eigenvalues
from minigan.pages import film as films

SCENE = pages.Scene(data.gaussians_ring(400, std=0.1)[0], 3.0, data.ring_centres(), 0.1)


def game(loss=losses.nonsaturating, **more):
    players = mg.models.mlp2d(3, width=4, pack=more.get("sight", Sight()).pack, rng=mg.random.Stream(1))
    G, D = players
    return ScoreGame(
        G,
        D,
        loss=loss,
        latent=normal_latent(3),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
        **more,
    )


def score(played, points):
    return played.discriminator(mg.tensor(np.asarray(points, "float32"))).numpy().ravel()


def test_the_surface_is_what_the_critic_says_from_the_top_left_on():
    played = game()
    shown = films.surface(played, SCENE)
    corners = score(played, [[-3, 3], [3, 3], [-3, -3], [3, -3]])
    np.testing.assert_allclose(shown[[0, 0, -1, -1], [0, -1, 0, -1]], 2 / (1 + np.exp(-corners)) - 1, atol=1e-6)
    scored = films.surface(game(losses.wasserstein), SCENE)
    assert (scored.min(), scored.max()) == (-1, 1)
    np.testing.assert_allclose(np.corrcoef(scored.ravel(), np.arctanh(shown).ravel())[0, 1], 1, atol=1e-5)


def test_a_push_leads_to_where_the_loss_is_lower():
    played = game()
    frame = pages.frame(played, SCENE)
    h = 1e-2
    before = np.log1p(np.exp(-score(played, frame.samples)))
    for axis, step in enumerate(np.eye(2) * h):
        ahead, behind = (np.log1p(np.exp(-score(played, frame.samples + s * step))) for s in (1, -1))
        np.testing.assert_allclose(frame.pushes[:, axis], -(ahead - behind) / (2 * h), atol=1e-3)
    along = np.log1p(np.exp(-score(played, frame.samples + 0.1 * frame.pushes)))
    assert (along < before).all()


def test_a_frame_holds_the_same_points_and_the_largest_eigenvalues():
    played = game()
    frame = pages.frame(played, SCENE)
    assert frame.step == 0
    assert frame.samples.shape == frame.pushes.shape == (films.SAMPLES, 2)
    values = eigenvalues(played, mg.tensor(SCENE.real[: films.SAMPLES]))
    upper = values[values.imag >= 0]
    assert len(upper) < films.KEPT
    np.testing.assert_array_equal(frame.eigenvalues, upper)
    before = {name: t.numpy().copy() for name, t in played.state.items()}
    again = pages.frame(played, SCENE)
    np.testing.assert_array_equal(again.samples, frame.samples)
    for name, t in played.state.items():
        np.testing.assert_array_equal(t.numpy(), before[name])  # to look at it changes nothing


def test_other_games_are_refused():
    with pytest.raises(ShapeError, match="points one by one, without labels; this one does in packs of 2"):
        pages.frame(game(sight=Sight(pack=2)), SCENE)
    G, D = mg.models.mlp28(4)
    digits = ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=normal_latent(4),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
    )
    with pytest.raises(ShapeError, match=r"samples of this game are \(1, 28, 28\)"):
        pages.frame(digits, SCENE)
    with pytest.raises(ShapeError, match="two frames or more, got \\[\\]"):
        pages.write_plane("none.html", [], SCENE, "none")


def test_the_page_holds_every_frame_and_loads_nothing(tmp_path):
    played = game()
    frames = [pages.frame(played, SCENE)]
    for _ in range(2):
        played.play(lambda k: SCENE.real[:64])
        frames.append(pages.frame(played, SCENE))
    told = {"d_loss": np.array([1.0, 2.0]), "g_loss": np.array([0.5, np.nan])}
    shown = pages.Film("<plain>", "nothing added", frames, told, 59)
    path = pages.write_plane(tmp_path / "plane.html", [shown, shown], SCENE, "a ring")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org)|fetch\(|{{", text)
    held = json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])
    first = held["films"][0]
    assert (first["title"], first["steps"], first["parameters"]) == ("<plain>", [0, 1, 2], 59)
    assert [c["y"] for c in first["charts"]["loss"]["curves"]] == [[1, 2], [0.5, None]]
    assert first["charts"]["good"]["curves"][0]["y"] == pytest.approx([frame.good for frame in frames], rel=1e-4)
    fastest = [frame.eigenvalues.real.max() for frame in frames]
    assert first["charts"]["eigenvalues"]["curves"][0]["y"] == pytest.approx(fastest, rel=1e-4)
    bytes_, about = base64.b64decode(held["bytes"]), held["arrays"]["samples 1"]
    read = np.frombuffer(bytes_, "<f2", frames[0].samples.size * 3, about["at"]).reshape(about["shape"])
    np.testing.assert_allclose(read, np.stack([frame.samples for frame in frames]), atol=2e-3)
    about = held["arrays"]["surface 0"]
    whole = np.frombuffer(bytes_, "i1", 3 * films.SIDE**2, about["at"]).reshape(about["shape"])
    steps = np.frombuffer(bytes_, "<f4", 3, about["scales"])
    np.testing.assert_allclose(whole * steps[:, None, None], np.stack([f.surface for f in frames]), atol=1 / 127)


@pytest.mark.parametrize("scene", ["ring", "swiss_roll"])
def test_the_example_writes_a_page_in_one_command(tmp_path, scene):
    script = example("plane")
    words = ["--data", scene, "--steps", "4", "--frames", "2", "--games", "plain", "unrolled", "--out", str(tmp_path)]
    assert mg.training.studies.main(script.study, script.options(), arguments=words) == 0
    text = (tmp_path / "plane.html").read_text(encoding="utf-8")
    assert len(text) < 500_000
    held = json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])
    assert [found["title"] for found in held["films"]] == ["plain GAN", "unrolled"]
    assert ("good" in held["films"][0]["charts"]) == (scene == "ring")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "plain_driven_away" in metrics
    assert ("plain_modes" in metrics) == (scene == "ring")


def test_every_game_of_the_example_begins_with_the_same_samples(tmp_path):
    script = example("plane")
    parsed = mg.training.Settings.parsed(script.options(), ["--out", str(tmp_path)])
    drawn = [script.build(name, parsed).sample(8).numpy() for name in script.GAMES]
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])
