import functools
import http.server
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.checkpoints import catalogue, download
from keras_i3d.checkpoints.catalogue import RemoteFile
from keras_i3d.errors import WeightsUnavailable
from keras_i3d.models.i3d import I3D, decode_predictions


@pytest.fixture
def server(tmp_path):
    """Serve a folder on loopback; returns the folder, its address, and the paths that were asked for."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    ) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}/", asked
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "keras_i3d"


def test_the_git_blob_id_is_gits(tmp_path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert download.git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_file_is_fetched_once_and_verified(server, cache) -> None:
    folder, address, asked = server
    (folder / "hello").write_bytes(b"hello\n")
    file = RemoteFile("hello", "ce013625030ba8dba906f756967f9e9ca394464a")
    path = download.fetch(file, address)
    assert (path, path.read_bytes()) == (cache / "hello", b"hello\n")
    assert download.fetch(file, address) == path
    assert asked == ["/hello"]
    assert list(cache.iterdir()) == [path]


def test_another_content_is_refused_and_not_kept(server, cache) -> None:
    folder, address, _ = server
    (folder / "hello").write_bytes(b"HELLO\n")
    with pytest.raises(WeightsUnavailable, match=r"/hello was fetched but is not the published file: its git blob id"):
        download.fetch(RemoteFile("hello", "ce013625030ba8dba906f756967f9e9ca394464a"), address)
    assert list(cache.iterdir()) == []


def test_a_file_put_there_by_hand_is_verified_too(cache) -> None:
    file = RemoteFile("a/hello", "ce013625030ba8dba906f756967f9e9ca394464a")
    (cache / "a").mkdir(parents=True)
    (cache / "a" / "hello").write_bytes(b"hello\n")
    assert download.fetch(file, "http://127.0.0.1:9/") == cache / "a" / "hello"
    (cache / "a" / "hello").write_bytes(b"hell")
    with pytest.raises(WeightsUnavailable, match=r"is not the published file.*Delete it to have it fetched again"):
        download.fetch(file, "http://127.0.0.1:9/")


def test_without_a_network_the_error_says_what_to_do(cache) -> None:
    message = r"hello is absent and http://127.0.0.1:9/hello could not be fetched \(.*refused.*\)\. Put the file there"
    with pytest.raises(WeightsUnavailable, match=message):
        download.fetch(RemoteFile("hello", "0" * 40), "http://127.0.0.1:9/")
    assert list(cache.iterdir()) == []


def test_named_weights_come_whole_with_their_class_names(server, write_checkpoint, monkeypatch, golden) -> None:
    folder, address, asked = server
    blank = I3D(weights=None, input_shape=(9, 32, 32, 3))
    write_checkpoint(folder / "model.ckpt", blank, "public", scope="RGB/inception_i3d/")
    (folder / "labels.txt").write_text("".join(f"class {n}\n" for n in range(400)))
    files = [
        RemoteFile(path.name, download.git_blob_id(path)) for path in sorted(folder.glob("model.ckpt.*"), reverse=True)
    ]
    labels = RemoteFile("labels.txt", download.git_blob_id(folder / "labels.txt"))
    row = replace(catalogue.row("kinetics", "rgb"), source=address, files=tuple(files), label_map=labels)
    monkeypatch.setattr(catalogue, "rows", lambda: (row,))

    model = I3D(input_shape=(9, 32, 32, 3))
    expected = golden.weight("Conv3d_1a_7x7/conv_3d/w", (7, 7, 7, 3, 64), "public")
    assert (model.get_layer("Conv3d_1a_7x7__conv_3d").kernel.numpy() == expected).all()
    probabilities = model(golden.clip((1, 9, 32, 32, 3), "public"))
    assert decode_predictions(probabilities, top=1)[0][0][1].startswith("class ")
    assert len(asked) == 3
    I3D(input_shape=(9, 32, 32, 3))
    assert len(asked) == 3
