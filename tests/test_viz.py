"""Pictures: their size, where each image lies, and that files can be opened again."""

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import viz


def test_to_uint8_clips_and_rounds():
    assert viz.to_uint8(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 128, 255, 255]


def test_to_uint8_of_what_is_no_number_and_of_what_is_no_float():
    spoilt = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)
    assert viz.to_uint8(spoilt).tolist() == [0, 255, 0, 128]
    assert viz.to_uint8(np.array([-1, 0.5, 1], ">f4")).tolist() == [0, 191, 255]
    for images in (np.array([[250]], np.uint8), np.array([[1]])):
        with pytest.raises(mg.errors.DTypeError, match=r"to_uint8: expected floats in \[-1, 1\], got u?int.* \(1, 1\)"):
            viz.to_uint8(images)


def test_grid_places_images_row_by_row():
    images = np.stack([np.full((1, 2, 3), k, np.uint8) for k in range(5)])
    picture = viz.grid(images, columns=3, gap=1, background=99)
    assert picture.shape == (2 * 3 + 1, 3 * 4 + 1)
    assert picture[1, 1] == 0
    assert picture[1, 5] == 1
    assert picture[4, 1] == 3
    assert picture[0, 0] == picture[4, 9] == 99
    assert viz.grid(np.zeros((4, 3, 2, 2), np.uint8)).shape == (10, 10, 3)
    with pytest.raises(mg.errors.ShapeError, match="at least one"):
        viz.grid(np.zeros((0, 1, 2, 2), np.uint8))
    for columns in (0, -1):
        with pytest.raises(mg.errors.ShapeError, match=f"at least one column, got {columns}"):
            viz.grid(np.zeros((2, 1, 2, 2), np.uint8), columns)
    with pytest.raises(mg.errors.DTypeError, match=r"grid: expected uint8 images, got float64 \(2, 1, 2, 2\)"):
        viz.grid(np.zeros((2, 1, 2, 2)))


def test_an_animation_leaves_out_what_cannot_be_read_and_what_has_another_size(tmp_path):
    frames = [tmp_path / f"{k}.png" for k in range(8)]
    for k, frame in enumerate(frames):
        viz.save_png(np.random.default_rng(k).integers(0, 256, (9, 9 + (k == 2)), np.uint8), frame)
    whole = frames[4].read_bytes()
    frames[3].write_bytes(whole[:-30])
    frames[4].write_bytes(whole.replace(b"IDAT", b"IDAT\0"))
    frames[5].unlink()
    frames[7].write_bytes(b"[" * 1000)
    assert viz.save_gif(frames, tmp_path / "x.gif") == [frames[k] for k in (2, 3, 4, 5, 7)]
    with Image.open(tmp_path / "x.gif") as opened:
        assert (opened.n_frames, opened.size) == (3, (18, 18))
    assert viz.save_gif(frames[3:6], tmp_path / "none.gif") == frames[3:6]
    assert not (tmp_path / "none.gif").exists()
    assert [viz.read_png(frame) is None for frame in frames] == [k in (3, 4, 5, 7) for k in range(8)]


def test_a_lack_of_memory_is_not_blamed_on_the_picture(tmp_path, monkeypatch):
    def lacking(*args, **options):
        raise MemoryError("Unable to allocate 9 TiB")

    viz.save_png(np.zeros((9, 9), np.uint8), tmp_path / "x.png")
    monkeypatch.setattr(Image.Image, "convert", lacking)
    with pytest.raises(MemoryError, match="9 TiB"):
        viz.read_png(tmp_path / "x.png")


def test_files_open_again(tmp_path):
    frames = []
    for k in range(3):
        path = tmp_path / f"{k}.png"
        viz.save_png(viz.grid(np.full((4, 1, 3, 3), 60 * k, np.uint8)), path, scale=2)
        frames.append(path)
    with Image.open(frames[1]) as opened:
        assert opened.size == (24, 24)
        assert np.asarray(opened)[5, 5] == 60
    viz.save_gif(frames, tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as opened:
        assert opened.n_frames == 3
    log = {name: [0.1, 0.2, 0.3] for name in ("step", "d_loss", "g_loss", "d_real", "d_fake")}
    viz.loss_curves(log, tmp_path / "x.png", "a run")
    with Image.open(tmp_path / "x.png") as opened:
        two = opened.size
    assert two[0] > 500
    viz.loss_curves({"step": [1, 2], "elbo": [1.0, 2.0], "kl": [0.1, 0.2], "d_loss": [1.0, 1.0]}, tmp_path / "y.png")
    with Image.open(tmp_path / "y.png") as opened:
        assert opened.size[1] > two[1]  # a panel for each, where there were two
    viz.loss_curves(log | {"d_real_source": [0.5] * 3, "d_fake_source": [0.4] * 3}, tmp_path / "z.png")
    with Image.open(tmp_path / "z.png") as opened:
        assert two[1] < opened.size[1] < 2 * two[1]  # both scores of a further discriminator in one


def test_smooth_keeps_length_level_and_short_series():
    noise = np.random.default_rng(0).standard_normal(1000)
    smoothed = viz.smooth(noise + 3)
    assert len(smoothed) == 1000
    assert smoothed.mean() == pytest.approx(noise.mean() + 3, abs=0.02)
    assert smoothed.std() < 0.4
    assert viz.smooth(np.array([1.0, 2.0])).tolist() == [1, 2]


def test_what_is_not_finite_is_a_gap_of_a_curve_and_not_its_end(tmp_path):
    values = np.ones(400)
    values[7], values[100:120] = np.inf, np.nan
    assert np.flatnonzero(np.isnan(viz.smooth(values))).tolist() == list(range(104, 116))
    assert np.nanmax(viz.smooth(values)) == 1
    for bad in (np.inf, np.nan, 1.797e308, 9e299):
        values[[3, 5]] = bad, -bad
        log = {"step": range(400), "d_loss": values, "g_loss": values, "more": values}
        viz.loss_curves(log, tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as opened:
            assert opened.size[0] > 500


def test_in_pairs_puts_each_image_over_its_fellow():
    above = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
    picture = viz.grid(viz.in_pairs(above, above + 100, 4), 4, gap=0)
    assert picture.tolist() == [[0, 1, 2, 3], [100, 101, 102, 103], [4, 5, 6, 7], [104, 105, 106, 107]]
    with pytest.raises(mg.errors.ShapeError, match="multiple of 3"):
        viz.in_pairs(above, above, 3)


def test_beside_leaves_a_gap():
    left, right = np.zeros((2, 3), np.uint8), np.full((2, 1), 9, np.uint8)
    assert viz.beside(left, right, gap=2, background=5).tolist() == [[0, 0, 0, 5, 5, 9]] * 2
    colour = viz.beside(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 1, 3), np.uint8))
    assert colour.shape == (2, 12, 3)


def test_a_saved_figure_is_small_and_the_same(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2))
    figure.add_subplot().plot([0, 1])
    viz.save_figure(figure, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as drawn:
        assert (drawn.size, drawn.mode) == ((300, 200), "P")


@pytest.mark.parametrize("columns", [1, 3])
def test_the_legend_and_the_titles_of_panels_are_all_in_the_picture(columns, rng):
    clouds = {"Real Data": rng.standard_normal((9, 2)), "Generated Data": rng.standard_normal((9, 2))}
    panel = viz.Panel("Features after iteration 10001; on the grey line D = 1/2", clouds, centroids=True)
    figure = viz.panel_figure([panel] * columns, columns, size=4.6)
    figure.canvas.draw()
    assert len(figure.legends[0].get_texts()) == 4
    for shown in (figure.legends[0], *(axes.title for axes in figure.axes)):
        box = shown.get_window_extent()
        assert min(box.x0, box.y0) >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1


def test_blocks_keep_every_pixel_and_ask_for_a_word_each(tmp_path, rng):
    images = rng.integers(0, 256, (2, 3, 3, 20, 20), dtype=np.uint8)
    viz.blocks([viz.Block(images, ["a", "bb"], ["x", "y\nz", ""]), viz.Block(images[:1, :2])], tmp_path / "b.png", "t")
    with Image.open(tmp_path / "b.png") as picture:
        drawn = np.asarray(picture.convert("RGB"))
    first, second = (viz.grid(some.reshape(-1, 3, 20, 20), n, 2, 255) for some, n in ((images, 3), (images[:1, :2], 2)))
    for part in (first, second):
        cells = part[2:22, 2:22].repeat(3, 0).repeat(3, 1)  # 20 pixels become 60
        places = [
            (i, j)
            for i, j in zip(*np.nonzero((drawn == cells[0, 0]).all(2)), strict=True)
            if np.array_equal(drawn[i : i + 60, j : j + 60], cells)
        ]
        assert places
    with pytest.raises(mg.errors.ShapeError, match="expected words for 2 rows and 3 columns, or none, got 1 and 0"):
        viz.blocks([viz.Block(images, ["a"])], tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()
