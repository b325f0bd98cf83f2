"""TensorFlow 2.16 or 2.17 with tensorflow-io, which reads shards from S3 and web servers by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from remote_servers import S3_CREDENTIALS, s3_server, web_server

pytest.importorskip("tensorflow_io")

# In a process of its own: one that has used S3 may abort at its end, after all is done and said.
READ = """
import json, sys
import tensorflow as tf
from keras_i3d.clips import shard_files
files = shard_files.readable(sys.argv[1:])
paths = [path.decode() for path in files.as_numpy_iterator()]
records = [record.decode() for record in files.interleave(tf.data.TFRecordDataset).as_numpy_iterator()]
print(json.dumps({"schemes": sorted(shard_files.native_schemes()), "paths": paths, "records": records}), flush=True)
"""


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Return a shard of three records in a folder of its own."""
    (tmp_path / "served").mkdir()
    path = tmp_path / "served/train-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(3):
            writer.write(b"record %d" % number)
    return path


def read(urls: list[str], home: Path, **environment: str) -> dict:
    variables = os.environ | environment | {"KERAS_HOME": str(home), "no_proxy": "*", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", READ, *urls], capture_output=True, text=True, env=variables)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_shards_are_read_from_s3_without_a_copy(shard: Path, tmp_path: Path) -> None:
    botocore_session = pytest.importorskip("botocore.session")
    pytest.importorskip("moto")
    with s3_server() as address:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        client = botocore_session.Session().create_client("s3", endpoint_url=address, **keys)
        client.put_object(Bucket="clips", Key=f"records/{shard.name}", Body=shard.read_bytes())
        url = f"s3://clips/records/{shard.name}"
        found = read([url], tmp_path / "home", S3_ENDPOINT=address, S3_VERIFY_SSL="0", **S3_CREDENTIALS)
    assert {"s3", "http", "https"} <= set(found["schemes"])
    assert found["paths"] == [url]
    assert found["records"] == ["record 0", "record 1", "record 2"]
    assert not (tmp_path / "home/keras_i3d").exists()


def test_shards_are_read_from_a_web_server_without_a_copy(shard: Path, tmp_path: Path) -> None:
    with web_server(shard.parent) as web:
        found = read([f"{web.address}/{shard.name}", str(shard)], tmp_path / "home")
    assert found["paths"] == [f"{web.address}/{shard.name}", str(shard)]
    assert sorted(found["records"]) == sorted(["record 0", "record 1", "record 2"] * 2)
    assert not (tmp_path / "home/keras_i3d").exists()
