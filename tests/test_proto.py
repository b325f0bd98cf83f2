import pytest
from google.protobuf import any_pb2

from keras_i3d import proto

TEXT = """
    message Leaf {
      message Part { int64 size = 1; }
      repeated Part parts = 2;
      oneof kind { string name = 1; bytes content = 4; }
      repeated float numbers = 3;
    }
"""


def test_messages_are_as_they_are_declared() -> None:
    declared = proto.declare({"one": TEXT, "two": "message Tree { map<string, one.Leaf> leaf_list = 7; }"})
    assert sorted(declared) == ["one.Leaf", "two.Tree"]
    tree = declared["two.Tree"]()
    tree.leaf_list["a"].parts.add(size=300)
    tree.leaf_list["a"].numbers.extend([0.5, 1.0])
    content = tree.SerializeToString()
    # field 7, a map entry: key 1 = "a", value 2 = Leaf with parts 2 = {size 1 = 300} and packed floats 3
    assert content == bytes.fromhex("3a 14 0a01 61 12 0f 1203 08ac02 1a08 0000003f 0000803f")
    assert declared["two.Tree"].FromString(content) == tree


def test_of_a_oneof_one_is_kept() -> None:
    leaf = proto.declare({"one": TEXT})["one.Leaf"](name="a")
    leaf.content = b"b"
    assert (leaf.WhichOneof("kind"), leaf.name) == ("content", "")


def test_known_files_are_used_as_they_are() -> None:
    declared = proto.declare(
        {"one": "message Box { google.protobuf.Any content = 1; }"}, known=[any_pb2.DESCRIPTOR.serialized_pb]
    )
    box = declared["one.Box"]()
    box.content.Pack(declared["one.Box"]())
    assert box.content.type_url == "type.googleapis.com/one.Box"


def test_the_same_name_may_be_declared_twice() -> None:
    first, second = (proto.declare({"one": "message A { string a = 1; }"})["one.A"] for _ in range(2))
    assert first(a="x").SerializeToString() == second(a="x").SerializeToString()


@pytest.mark.parametrize(
    ("text", "message"), [("enum A {}", "'message' is wanted .* found 'enum'"), ("message A ( }", ".")]
)
def test_what_is_no_declaration_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        proto.declare({"one": text})
