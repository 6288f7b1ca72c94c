"""Every verb of the command line on good input: exit code 0, one JSON object, files written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fixtures import Answer, quick_maps, stripes, write_pictures
from vae_core.checkpoint import load_checkpoint, verify_checkpoint
from vae_core.cli import VERBS, build_parser, main
from vae_core.data.digits import load_digits

QUICK = ["--latent", "2", "--preset", "mlp", "--epochs", "1", "--device", "cpu"]


def size_of(path: str | Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture
def digits(tiny_checkpoints: Path) -> Path:
    return tiny_checkpoints / "digits-2d"


@pytest.fixture
def digit_files(tmp_path: Path) -> list[Path]:
    images, paths = load_digits().images[:3, 0], [tmp_path / f"{i}.png" for i in range(3)]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    return paths


def train(*argv: object) -> int:
    with quick_maps():
        return main(["train", *map(str, argv), *QUICK])


def test_a_folder_of_pictures_becomes_a_checkpoint_whose_map_opens(
    tmp_path: Path, answer: Answer
) -> None:
    pictures, out = write_pictures(tmp_path / "pictures", 60), tmp_path / "out"
    with quick_maps():
        told = answer("train", "--data", pictures, "--out", out, *QUICK)
    checkpoint = load_checkpoint(out)
    assert told["checkpoint"] == str(out)
    assert told["psnr_db"] == checkpoint.card["metrics"]["psnr_db"]
    assert {len(made.xy) for made in checkpoint.maps.values()} == {60}
    assert checkpoint.model.spec.shape == (1, 16, 16)
    verify_checkpoint(out)


def test_training_explains_its_choices_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--data", "digits", "--out", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    for sentence in ("1,797 grey 8×8 images from 'digits'.", "Training on cpu", "Likelihood: "):
        assert sentence in err
    assert "open it with: streamlit run app.py" in out


def test_a_run_can_be_stopped_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    command = ("--data", "digits", "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("vae_core.train.loop.validate", stopped)
        assert train(*command) == 130
    assert "give the same command with --resume to go on" in capsys.readouterr().err
    assert train(*command, "--resume") == 0
    verify_checkpoint(tmp_path / "out")


def test_stopping_outside_the_loop_is_no_crash_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vae_core.cli.common.load_images", stopped)
    assert train("--data", "digits", "--out", tmp_path / "out") == 130
    assert "Stopped" in capsys.readouterr().err


def test_overwrite_replaces_a_run(tmp_path: Path) -> None:
    command = ("--data", "digits", "--out", tmp_path / "out")
    assert train(*command) == 0
    before = load_checkpoint(tmp_path / "out").key
    assert train(*command, "--seed", 5, "--overwrite") == 0
    assert load_checkpoint(tmp_path / "out").key != before
    verify_checkpoint(tmp_path / "out")


def test_a_failed_overwrite_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    assert train("--data", "digits", "--out", tmp_path / "out") == 0
    assert train("--data", tmp_path / "none", "--out", tmp_path / "out", "--overwrite") == 2
    verify_checkpoint(tmp_path / "out")


def test_evaluate_measures_the_test_split(digits: Path, answer: Answer) -> None:
    told = answer("evaluate", digits, "--data", "digits", "--importance-samples", 5)
    assert (told["split"], told["n_images"]) == ("test", 180)
    assert told["nll"] <= -told["elbo"] + 1e-6
    assert told["elbo"] == pytest.approx(-(told["reconstruction"] + told["kl"]), rel=1e-4)
    assert 0 <= told["active_units"] <= 2
    metrics = load_checkpoint(digits).card["metrics"]
    assert told["squared_error"] == pytest.approx(metrics["squared_error"], rel=1e-4)


@pytest.mark.parametrize("limit", [1, 7])
def test_evaluate_of_a_few_images_is_json_too(digits: Path, answer: Answer, limit: int) -> None:
    few = ("--limit", limit, "--importance-samples", 2)
    told = answer("evaluate", digits, "--data", "digits", *few)
    assert told["n_images"] == limit
    assert (told["nll_standard_error"] is None) == (limit == 1)


def test_more_importance_samples_tighten_the_bound(digits: Path, answer: Answer) -> None:
    nll = [
        answer("evaluate", digits, "--data", "digits", "--importance-samples", k)["nll"]
        for k in (1, 20)
    ]
    assert nll[1] < nll[0]


@pytest.mark.parametrize(
    ("name", "more"), [("./pictures", ()), ("pictures", ("--n-validation", 9))]
)
def test_evaluate_uses_the_images_and_the_split_of_training(
    tmp_path: Path,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    more: tuple[str | int, ...],
) -> None:
    write_pictures(tmp_path / "pictures", 60)
    (tmp_path / "pictures" / "007.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    assert train("--data", name, "--images", 40, "--out", "out", *more) == 0
    codes = load_checkpoint("out").codes
    answer("encode", "out", "--data", "pictures", "--out", "codes.npz")
    with np.load("codes.npz") as found:
        assert np.array_equal(found["ids"], codes.ids)
        assert np.array_equal(found["split"], codes.split)


def test_evaluate_after_training_at_another_size(tmp_path: Path, answer: Answer) -> None:
    assert train("--data", "digits", "--size", 12, "--out", tmp_path / "out") == 0
    told = answer("evaluate", tmp_path / "out", "--data", "digits", "--importance-samples", 1)
    assert told["n_images"] == 180


def test_evaluate_of_images_that_are_not_square(tmp_path: Path, answer: Answer) -> None:
    np.savez(tmp_path / "wide.npz", images=stripes(40, (1, 6, 9)).images[:, 0])
    assert train("--data", tmp_path / "wide.npz", "--out", tmp_path / "out") == 0
    told = answer("evaluate", tmp_path / "out", "--data", tmp_path / "wide.npz")
    assert told["n_images"] == 4


def test_an_autoencoder_is_evaluated_without_bounds(tmp_path: Path, answer: Answer) -> None:
    assert train("--data", "digits", "--objective", "ae", "--out", tmp_path / "ae") == 0
    told = answer("evaluate", tmp_path / "ae", "--data", "digits")
    assert told["psnr_db"] > 0
    assert "elbo" not in told


def test_encode_writes_codes_that_open_without_pickle(
    digits: Path, tmp_path: Path, answer: Answer
) -> None:
    out = tmp_path / "new" / "codes.npz"
    told = answer("encode", digits, "--data", "digits", "--out", out)
    assert told == {"out": str(out), "n_images": 1797, "n_latent": 2}
    with np.load(out, allow_pickle=False) as found:
        assert found["mean"].shape == found["log_std"].shape == (1797, 2)
        assert found["labels"].tolist() == load_digits().labels.tolist()  # type: ignore[union-attr]
        assert found["label_names"].tolist() == list("0123456789")


def test_reconstruct_writes_one_picture_each(
    digits: Path, digit_files: list[Path], tmp_path: Path, answer: Answer
) -> None:
    told = answer("reconstruct", digits, *digit_files, "--out", tmp_path / "out")
    assert told["problems"] == []
    for result, path in zip(told["results"], digit_files, strict=True):
        assert result["image"] == str(path)
        assert size_of(result["out"]) == (8, 8)
        assert 0 <= result["squared_error"] < 0.5


def test_pictures_of_the_same_name_do_not_overwrite_each_other(
    digits: Path, digit_files: list[Path], tmp_path: Path, answer: Answer
) -> None:
    twin = tmp_path / "other" / digit_files[0].name
    twin.parent.mkdir()
    twin.write_bytes(digit_files[1].read_bytes())
    told = answer("reconstruct", digits, digit_files[0], twin, "--out", tmp_path / "out")
    assert len({result["out"] for result in told["results"]}) == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_sample_is_repeatable_by_its_seed(digits: Path, tmp_path: Path, answer: Answer) -> None:
    files = [tmp_path / "new" / f"{name}.png" for name in "abc"]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        assert answer("sample", digits, "--n", 10, "--seed", seed, "--out", file)["n"] == 10
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other
    assert size_of(files[0]) == (4 * 8, 3 * 8)


def test_list_names_good_and_broken_folders(
    tiny_checkpoints: Path, tmp_path: Path, answer: Answer
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{")
    (tmp_path / "good").symlink_to(tiny_checkpoints / "digits-2d")
    broken, good = answer("list", tmp_path)["checkpoints"]
    assert "damaged" in broken["problem"]
    assert (good["title"], good["problem"]) == ("digits · vae · 2-d", "")


def test_list_survives_a_card_without_a_title(digits: Path, tmp_path: Path, answer: Answer) -> None:
    card = json.loads((digits / "card.json").read_text())
    del card["title"]
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "card.json").write_text(json.dumps(card))
    assert answer("list", tmp_path)["checkpoints"][0]["path"] == str(tmp_path / "bare")


def test_list_of_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"No checkpoints in {tmp_path}.\n"


def test_verify_finds_a_checkpoint_sound(digits: Path, answer: Answer) -> None:
    assert answer("verify", digits) == {"checkpoint": str(digits), "ok": True, "files": 5}


def test_the_answer_for_people_is_a_table(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--limit", "9", "--importance-samples", "1"]
    assert main(["evaluate", str(digits), "--data", "digits", *few]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({line.index(line.split(maxsplit=1)[1]) for line in lines}) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_options_of_objectives_are_flags_of_train() -> None:
    flags = ["--beta", "2.5", "--warmup-steps", "10", "--free-nats", "0.1"]
    args = build_parser().parse_args(["train", "--data", "x", "--out", "y", *flags])
    assert (args.beta, args.warmup_steps, args.free_nats) == (2.5, 10, 0.1)
