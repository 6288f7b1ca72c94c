"""The command line on bad input: exit code 2, one clear sentence on stderr, no traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.fixtures import Refused, quick_maps, stripes, write_pictures
from vae_core.cli import main


@pytest.fixture
def digits(tiny_checkpoints: Path) -> Path:
    return tiny_checkpoints / "digits-2d"


@pytest.fixture
def digits_copy(digits: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits, tmp_path / "copy"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_path_that_is_not_there(refused: Refused, tmp_path: Path, out: Path) -> None:
    text = refused("train", "--data", tmp_path / "none", "--out", out)
    assert f"The path '{tmp_path / 'none'}' does not exist" in text
    assert not out.exists()


def test_a_misspelt_name(refused: Refused, out: Path) -> None:
    assert "did you mean 'faces'?" in refused("train", "--data", "facse", "--out", out)


def test_an_empty_folder(refused: Refused, tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused("train", "--data", tmp_path / "empty", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("n", [1, 2])
def test_a_folder_with_too_few_images(refused: Refused, tmp_path: Path, out: Path, n: int) -> None:
    pictures = write_pictures(tmp_path / "few", n)
    text = refused("train", "--data", pictures, "--out", out, "--preset", "mlp")
    assert f"'few' holds {n} image(s), training and its check need at least 3" in text


def test_a_folder_of_broken_images(refused: Refused, tmp_path: Path, out: Path) -> None:
    (tmp_path / "bad").mkdir()
    for index in range(4):
        (tmp_path / "bad" / f"{index}.png").write_bytes(b"no picture" * index)
    refused("train", "--data", tmp_path / "bad", "--out", out)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--epochs", "0"], "--epochs 0 came"),
        (["--minutes", "-1"], "--minutes -1 came"),
        (["--latent", "0"], "--latent 0 came"),
        (["--seed", "-1"], "--seed -1 came"),
        (["--learning-rate", "nan"], "--learning-rate nan came"),
        (["--preset", "huge"], "Preset 'huge' is unknown"),
        (["--likelihood", "poisson"], "Likelihood 'poisson' is unknown"),
        (["--device", "tpu"], "Device 'tpu' is unknown"),
        (["--precision", "int8"], "Precision 'int8' is unknown"),
        (["--images", "0"], "0 images were asked for"),
        (["--size", "5000"], "A size of 5000 pixels was asked for"),
        (["--objective", "vae", "--beta", "2"], "Objective 'vae' has no option beta"),
        (["--objective", "ae", "--warmup-steps", "2"], "'ae' has no option warmup_steps"),
        (["--resume", "--overwrite"], "--resume and --overwrite came together"),
        (["--resume"], "holds no interrupted run; leave --resume out"),
    ],
)
def test_senseless_options_of_train(
    refused: Refused, out: Path, flags: list[str], sentence: str
) -> None:
    quick = ("--data", "digits", "--preset", "mlp", "--epochs", 1)
    assert sentence in refused("train", *quick, "--out", out, *flags)
    assert not (out / "card.json").exists()


@pytest.mark.parametrize("argv", [[], ["fly"], ["train"], ["train", "--objective", "gan"]])
def test_a_command_that_cannot_be_parsed(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_finished_run_is_not_overwritten(refused: Refused, digits_copy: Path) -> None:
    before = (digits_copy / "card.json").read_bytes()
    text = refused("train", "--data", "digits", "--out", digits_copy)
    assert "already holds a run; add --resume to go on with it, --overwrite" in text
    assert (digits_copy / "card.json").read_bytes() == before


def test_a_run_is_not_resumed_with_other_options(refused: Refused, digits_copy: Path) -> None:
    text = refused("train", "--data", "digits", "--out", digits_copy, "--resume", "--seed", 4)
    assert "seed differ(s) from the options given now" in text


def test_a_run_is_not_resumed_with_other_data(
    refused: Refused, digits_copy: Path, tmp_path: Path
) -> None:
    pictures = write_pictures(tmp_path / "pictures", 40, side=8)
    same = ("--latent", 2, "--epochs", 5, "--device", "cpu")
    text = refused("train", "--data", pictures, "--out", digits_copy, *same, "--resume")
    assert "other images" in text


def test_out_is_a_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    argv = ("train", "--data", "digits", "--out", tmp_path / "file", "--epochs", 1)
    assert "file" in refused(*argv)


def test_a_loss_that_explodes(refused: Refused, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.train.loop.one_cycle", lambda *_, **__: 1e30)
    text = refused("train", "--data", "digits", "--out", out, "--preset", "mlp", "--epochs", 2)
    assert "lower --learning-rate" in text
    assert not (out / "card.json").exists()


VERBS_ON_A_CHECKPOINT = {
    "evaluate": ["--data", "digits"],
    "encode": ["--data", "digits", "--out", "codes.npz"],
    "reconstruct": ["picture.png", "--out", "pictures"],
    "sample": ["--out", "grid.png"],
    "verify": [],
}
every_reader = pytest.mark.parametrize("verb", VERBS_ON_A_CHECKPOINT)


@every_reader
@pytest.mark.parametrize("damage", ["flipped", "missing", "pickle", "card", "foreign", "absent"])
def test_a_damaged_checkpoint(
    refused: Refused, digits_copy: Path, monkeypatch: pytest.MonkeyPatch, verb: str, damage: str
) -> None:
    monkeypatch.chdir(digits_copy.parent)
    weights, card = digits_copy / "model.safetensors", digits_copy / "card.json"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    harm = {
        "flipped": lambda: weights.write_bytes(data),
        "missing": weights.unlink,
        "pickle": lambda: weights.write_bytes(b"\x80\x04N."),
        "card": lambda: card.write_text(card.read_text()[:99]),
        "foreign": lambda: card.write_text('{"format": "other/3", "files": {}, "model": {}}'),
        "absent": lambda: shutil.rmtree(digits_copy),
    }
    harm[damage]()
    assert "copy" in refused(verb, digits_copy, *VERBS_ON_A_CHECKPOINT[verb])
    assert not Path("codes.npz").exists() and not Path("grid.png").exists()


def test_verify_notices_damaged_codes(refused: Refused, digits_copy: Path) -> None:
    (digits_copy / "codes.npz").write_bytes(b"")
    assert "codes.npz' is damaged" in refused("verify", digits_copy)


def test_corrupt_pictures_are_named_and_the_others_go_on(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, gone = (tmp_path / name for name in ("good.png", "bad.png", "gone.png"))
    Image.fromarray(stripes(1).images[0, 0]).save(good)
    bad.write_bytes(good.read_bytes()[:40])
    command = ["reconstruct", digits, bad, gone, good, "--out", tmp_path / "out", "--json"]
    capsys.readouterr()
    assert main([*map(str, command)]) == 2
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert [result["image"] for result in told["results"]] == [str(good)]
    assert len(told["problems"]) == 2 and err.splitlines() == told["problems"]
    assert "bad.png" in told["problems"][0] and "gone.png" in told["problems"][1]
    assert (tmp_path / "out" / "good.png").exists()


def test_data_of_another_shape(
    refused: Refused, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_core.data.catalogue.N_FACES_DEFAULT", 20)
    text = refused("evaluate", digits, "--data", "faces", "--importance-samples", 1)
    assert "faces" in text and "grey 8×8" in text


@pytest.mark.parametrize("k", [0, -5])
def test_fewer_than_one_importance_sample(refused: Refused, digits: Path, k: int) -> None:
    argv = ("evaluate", digits, "--data", "digits", "--importance-samples", k)
    assert f"{k} importance samples were asked for" in refused(*argv)


@pytest.mark.parametrize("limit", [0, -5])
def test_fewer_than_one_image(refused: Refused, digits: Path, limit: int) -> None:
    argv = ("evaluate", digits, "--data", "digits", "--limit", limit)
    assert f"--limit {limit} came" in refused(*argv)


@pytest.mark.parametrize("n", [0, -1, 10**9])
def test_a_senseless_number_of_samples(refused: Refused, digits: Path, n: int, out: Path) -> None:
    assert f"--n {n} came" in refused("sample", digits, "--n", n, "--out", out / "grid.png")


@pytest.mark.parametrize("name", ["grid", "grid.xyz"])
def test_a_picture_in_an_unknown_format(
    refused: Refused, digits: Path, tmp_path: Path, name: str
) -> None:
    assert name in refused("sample", digits, "--n", 4, "--out", tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_senseless_seed(
    refused: Refused, digits: Path, tmp_path: Path, verb: str, seed: int
) -> None:
    rest = {"sample": ["--out", tmp_path / "a.png"], "evaluate": ["--data", "digits"]}
    assert f"--seed {seed} came" in refused(verb, digits, *rest[verb], "--seed", seed)


@pytest.mark.parametrize("verb", ["sample", "encode"])
def test_a_place_that_cannot_be_written(refused: Refused, digits: Path, verb: str) -> None:
    rest = ["--data", "digits"] if verb == "encode" else []
    refused(verb, digits, *rest, "--out", "/proc/none/file.png")


def test_skipped_files_are_listed_and_the_rest_is_trained_on(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = write_pictures(tmp_path / "pictures", 20)
    (pictures / "000.png").write_bytes(b"")
    command = ["train", "--data", pictures, "--out", out, "--preset", "mlp", "--epochs", 1]
    with quick_maps():
        assert main([str(part) for part in command]) == 0
    err = capsys.readouterr().err
    assert "skipped 000.png: " in err
    assert "19 grey 16×16 images" in err
