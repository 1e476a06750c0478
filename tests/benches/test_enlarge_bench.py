"""The bench of enlargers: it trains what is not done, and shows what the runs measured."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from minigan import data, viz

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES))

import enlarge  # noqa: E402  found through the line above


@pytest.mark.slow
def test_a_run_is_made_once_and_shown(tmp_path, monkeypatch, capsys):
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for k, digit in enumerate(data.digits(110, seed=3)[0]):
        viz.save_png(digit[0], folder / f"{k}.png")
    words = f"{folder} --systems srresnet --minutes 0.02 --side 16 --shown 0 1 --out {out}".split()
    monkeypatch.setattr(sys, "argv", ["enlarge.py", *words])
    enlarge.main()
    lines = capsys.readouterr().out.splitlines()
    ends = out / "srresnet_0.02min_0/metrics.json"
    numbers, written = json.loads(ends.read_text()), ends.stat().st_mtime_ns
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:4] for line in lines[3:]}
    forms = {"psnr": ".1f", "ssim": ".3f", "looks": ".3f"}
    assert cells["SRResNet"] == [format(numbers[name], form) for name, form in forms.items()]
    assert cells["bicubic"] == [format(numbers[f"{name}_bicubic"], form) for name, form in forms.items()]
    with Image.open(out / "enlarged.png") as picture:
        assert picture.width > picture.height * 1.8  # four columns, two rows
    enlarge.main()
    assert capsys.readouterr().out.splitlines() == lines
    assert ends.stat().st_mtime_ns == written
