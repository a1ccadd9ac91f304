"""Parquet of records: the round trip is exact, and a file that is not what it should be says so."""
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pharmgpt.corpus.importers.interactions import ImportedInteraction
from pharmgpt.text.parquet import read_parquet, record_name, schema, write_parquet
from pharmgpt.text.records import BadRecord, Conversation, Document, Message, PreferencePair

HELLO = (Message("system", "Be careful."), Message("user", "Hi —\nthere"), Message("assistant", "Hello “you” 🙂"))
RECORDS = [
    Document("a.1", "Metformin ≥ 30 mL/min.", "note", drugs=("metformin",), fact_ids=("f1", "f2"), careless=True),
    Conversation("c.1", HELLO, drugs=()),
    PreferencePair("p.1", HELLO[:2], "yes", "no", "imported", gold_chosen=3.0, gold_rejected=None),
    ImportedInteraction("a+b", "a", "b", "major", ("BNF: Severe",), ("Haemorrhage",), ()),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_type_comes_back_as_it_was(tmp_path, record):
    path = tmp_path / "records.parquet"
    assert write_parquet(path, [record], type(record)) == 1
    assert list(read_parquet(path, type(record))) == [record] and record_name(path) == type(record).__name__


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(Document, st.text(), st.text(), st.text(), drugs=st.lists(st.text(), max_size=3).map(tuple)), max_size=5))
def test_any_text_survives_the_round_trip(tmp_path_factory, documents):
    path = tmp_path_factory.mktemp("any") / "documents.parquet"
    write_parquet(path, documents, Document)
    assert list(read_parquet(path, Document)) == documents


def test_more_rows_than_a_batch_keep_their_order(tmp_path):
    documents = [Document(str(number), "text", "note") for number in range(5000)]
    assert write_parquet(tmp_path / "many.parquet", iter(documents), Document) == 5000
    assert list(read_parquet(tmp_path / "many.parquet", Document)) == documents


def test_messages_are_structs_that_other_programs_can_read():
    assert schema(Conversation).field("messages").type == pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def test_a_write_that_fails_halfway_leaves_nothing_behind(tmp_path):
    def failing():
        yield from (Document(str(number), "text", "note") for number in range(5000))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        write_parquet(tmp_path / "half.parquet", failing(), Document)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_records_is_refused_by_name(tmp_path):
    write_parquet(tmp_path / "d.parquet", RECORDS[:1], Document)
    with pytest.raises(BadRecord, match="d.parquet: holds Document, not Conversation"):
        list(read_parquet(tmp_path / "d.parquet", Conversation))


def test_a_cut_off_file_is_refused(tmp_path):
    write_parquet(tmp_path / "d.parquet", RECORDS[:1], Document)
    whole = (tmp_path / "d.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(BadRecord, match="not a whole Parquet file"):
        list(read_parquet(tmp_path / "d.parquet", Document))
