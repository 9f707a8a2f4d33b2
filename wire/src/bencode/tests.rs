//! Reader and encoder, by example and by property.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Value<'_>, BencodeError> {
    decode(text.as_bytes(), &Limits::METAINFO)
}

fn fails(text: &str, with: BencodeError) {
    assert_eq!(read(text), Err(with), "{text}");
}

fn written(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    entry.encode(&mut out);
    out
}

#[test]
fn examples_of_the_standard_decode_to_what_they_say() {
    assert_eq!(read("i42e").unwrap().as_int(), Some(42));
    assert_eq!(read("i-5e").unwrap().as_int(), Some(-5));
    assert_eq!(read("i0e").unwrap().as_int(), Some(0));
    assert_eq!(read("4:spam").unwrap().as_bytes(), Some(&b"spam"[..]));
    assert_eq!(read("0:").unwrap().as_bytes(), Some(&b""[..]));

    let numbers = read("li1ei2ee").unwrap().as_list().unwrap();
    assert_eq!(numbers.iter().filter_map(Value::as_int).collect::<Vec<_>>(), [1, 2]);
    let words = read("l4:spam3:egge").unwrap().as_list().unwrap();
    assert_eq!(
        words.iter().filter_map(Value::as_bytes).collect::<Vec<_>>(),
        [&b"spam"[..], b"egg"]
    );
    let dict = read("d3:cow3:moo4:spam4:eggse").unwrap();
    assert_eq!(dict.get(b"cow").unwrap().as_bytes(), Some(&b"moo"[..]));
    assert_eq!(dict.get(b"spam").unwrap().as_bytes(), Some(&b"eggs"[..]));
    assert_eq!(dict.get(b"milk"), None);
}

#[test]
fn a_length_counts_bytes_and_what_is_left_is_reported() {
    // The line of a seed's picture (D-01): "hello world" has eleven bytes.
    fails("10:hello world", BencodeError::Trailing { offset: 13 });
    let (value, rest) = decode_prefix(b"10:hello world", &Limits::KRPC).unwrap();
    assert_eq!(value.as_bytes(), Some(&b"hello worl"[..]));
    assert_eq!(rest, b"d");
}

#[test]
fn a_prefix_leaves_the_bytes_after_the_value() {
    let (value, rest) = decode_prefix(b"d1:ai1eeXYZ", &Limits::KRPC).unwrap();
    assert_eq!(value.raw().len(), 8);
    assert_eq!(rest, b"XYZ");
}

#[test]
fn malformed_numbers_are_refused() {
    for text in ["i-0e", "i03e", "ie", "i-e", "i-03e", "i00e"] {
        fails(text, BencodeError::Number { offset: 0 });
    }
    fails("i 1e", BencodeError::Unexpected { offset: 1 });
    fails("i+1e", BencodeError::Unexpected { offset: 1 });
    fails("i1.5e", BencodeError::Unexpected { offset: 2 });
    fails("03:abc", BencodeError::Number { offset: 0 });
}

#[test]
fn integers_reach_both_ends_of_64_bits_and_no_further() {
    assert_eq!(read("i9223372036854775807e").unwrap().as_int(), Some(i64::MAX));
    assert_eq!(read("i-9223372036854775808e").unwrap().as_int(), Some(i64::MIN));
    fails("i9223372036854775808e", BencodeError::Range { offset: 0 });
    fails("i-9223372036854775809e", BencodeError::Range { offset: 0 });
}

#[test]
fn each_fault_has_its_reason_and_offset() {
    fails("", BencodeError::Truncated { offset: 0 });
    fails("i42", BencodeError::Truncated { offset: 3 });
    fails("li1e", BencodeError::Truncated { offset: 4 });
    fails("d1:a", BencodeError::Truncated { offset: 4 });
    fails("12", BencodeError::Truncated { offset: 2 });
    fails("l6:spame", BencodeError::Overlong { offset: 1 });
    fails("99999999999999999999999999:a", BencodeError::Overlong { offset: 0 });
    fails("x", BencodeError::Unexpected { offset: 0 });
    fails("e", BencodeError::Unexpected { offset: 0 });
    fails("lxe", BencodeError::Unexpected { offset: 1 });
    fails("di1ei2ee", BencodeError::Key { offset: 1 });
    fails("dlei2ee", BencodeError::Key { offset: 1 });
    fails("d1:ae", BencodeError::NoValue { offset: 4 });
    fails("i1ei2e", BencodeError::Trailing { offset: 3 });
}

#[test]
fn keys_may_be_unsorted_or_repeated_unless_strict() {
    let strict = |text: &'static str| decode_strict(text.as_bytes(), &Limits::KRPC).map(Value::raw);
    for (text, offset) in [
        ("d1:bi1e1:ai2ee", 7),
        ("d1:ai1e1:ai2ee", 7),
        ("d1:ad1:yi1e1:xi1eee", 11),
        ("ld1:bi1eed1:bi1e1:ai1eee", 16),
    ] {
        assert!(read(text).is_ok());
        assert_eq!(strict(text), Err(BencodeError::KeyOrder { offset }), "{text}");
    }
    // A sibling's keys are another dictionary's, and a list does not count.
    for text in ["ld1:bi1eed1:ai1eee", "d1:ad1:zi1ee1:bli1e1:aee", "d1:al1:z1:ae1:b1:ae"] {
        assert_eq!(strict(text), Ok(text.as_bytes()), "{text}");
    }
    assert_eq!(
        read("d1:bi1e1:ai2e1:bi3ee").unwrap().get(b"b").unwrap().as_int(),
        Some(1)
    );
}

#[test]
fn nesting_is_bounded_without_recursion() {
    let deep = |depth: usize| format!("{}{}", "l".repeat(depth), "e".repeat(depth));
    fails(&deep(101), BencodeError::TooDeep { offset: 100 });
    assert!(read(&deep(100)).is_ok());
    let widest = Limits {
        depth: usize::MAX,
        tokens: usize::MAX,
    };
    assert!(decode(deep(MAX_DEPTH).as_bytes(), &widest).is_ok());
    let error = decode(deep(1_000_000).as_bytes(), &widest).unwrap_err();
    assert_eq!(error, BencodeError::TooDeep { offset: MAX_DEPTH });
}

#[test]
fn tokens_are_bounded() {
    let limits = Limits { depth: 2, tokens: 3 };
    assert!(decode(b"d1:ai1ee", &limits).is_ok());
    let error = decode(b"li1ei2ei3ee", &limits).unwrap_err();
    assert_eq!(error, BencodeError::TooMany { offset: 7 });
}

#[test]
fn a_value_is_of_one_kind_only() {
    let value = read("d1:ali1eee").unwrap();
    assert_eq!(value.kind(), Kind::Dict);
    assert_eq!((value.as_int(), value.as_bytes(), value.as_list()), (None, None, None));
    let list = value.get(b"a").unwrap();
    assert_eq!(list.raw(), b"li1ee");
    assert_eq!((list.kind(), list.get(b"a")), (Kind::List, None));
}

#[test]
fn a_reader_pulls_a_dictionary_apart() {
    let mut reader = Reader::new(b"d1:ai7e1:bl1:x1:ye1:cdee!", &Limits::KRPC);
    reader.begin_dict().unwrap();
    assert_eq!(reader.key(), Ok(Some(&b"a"[..])));
    assert_eq!(reader.int(), Ok(7));
    assert_eq!(reader.key(), Ok(Some(&b"b"[..])));
    reader.begin_list().unwrap();
    let mut items = Vec::new();
    while reader.more().unwrap() {
        items.push(reader.bytes().unwrap());
    }
    assert_eq!(items, [b"x", b"y"]);
    assert_eq!(reader.key(), Ok(Some(&b"c"[..])));
    assert_eq!(reader.value().unwrap().raw(), b"de");
    assert_eq!(reader.key(), Ok(None));
    assert_eq!((reader.offset(), reader.rest()), (24, &b"!"[..]));
    assert_eq!(reader.int(), Err(BencodeError::Unexpected { offset: 24 }));
}

#[test]
fn the_encoder_writes_each_kind() {
    let mut out = b"kept".to_vec();
    Encoder::new(&mut out)
        .begin_dict()
        .key(b"a")
        .int(i64::MIN)
        .key(b"b")
        .begin_list()
        .bytes(b"")
        .bytes(&[b'x'; 10])
        .int(0)
        .int(i64::MAX)
        .end()
        .key(b"c")
        .raw(b"de")
        .end();
    let text = "keptd1:ai-9223372036854775808e1:bl0:10:xxxxxxxxxxi0ei9223372036854775807ee1:cdee";
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "out of order")]
fn the_encoder_minds_the_order_of_keys_while_debugging() {
    Encoder::new(&mut Vec::new()).begin_dict().key(b"b").int(1).key(b"a");
}

#[test]
fn an_entry_is_written_with_sorted_keys() {
    let entry = Entry::decode(b"d1:bi1e1:ai2ee", &Limits::KRPC).unwrap();
    assert_eq!(written(&entry), b"d1:ai2e1:bi1ee");
    assert_eq!(written(&Entry::List(Vec::new())), b"le");
    assert_eq!(written(&Entry::default()), b"de");
}

#[test]
fn an_entry_is_read_by_type_and_changed_by_key() {
    let mut entry = Entry::decode(b"d3:agei7e4:name4:spam4:tagsl1:aee", &Limits::KRPC).unwrap();
    let wrong = TypeError {
        expected: Kind::Int,
        found: Kind::Bytes,
    };
    assert_eq!(entry.get(b"name").unwrap().as_int(), Err(wrong));
    assert_eq!(entry.get(b"age").unwrap().as_int(), Ok(7));
    assert_eq!(entry.get(b"tags").unwrap().as_list().unwrap(), [Entry::from("a")]);
    assert_eq!(entry.get(b"missing"), None);
    *entry.slot(b"new").unwrap().slot(b"inner").unwrap() = Entry::from(1);
    assert_eq!(written(&entry), b"d3:agei7e4:name4:spam3:newd5:inneri1ee4:tagsl1:aee");
    assert!(Entry::Int(1).slot(b"x").is_err());
}

#[test]
fn an_entry_prints_for_people() {
    let entry = Entry::decode(b"d1:ali1e2:\xff\x00e1:bdee", &Limits::KRPC).unwrap();
    assert_eq!(
        entry.to_string(),
        "{\n  \"a\": [\n    1\n    \"\\xff\\x00\"\n  ]\n  \"b\": {\n  }\n}"
    );
}

fn entries() -> impl Strategy<Value = Entry> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Entry::Int),
        prop::collection::vec(any::<u8>(), 0..120).prop_map(Entry::Bytes),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        let key = prop::collection::vec(any::<u8>(), 0..12);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Entry::List),
            prop::collection::btree_map(key, inner, 0..6).prop_map(Entry::Dict),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_is_canonical(entry in entries()) {
        let bytes = written(&entry);
        let value = decode_strict(&bytes, &Limits::METAINFO).unwrap();
        prop_assert_eq!(value.raw(), &bytes[..]);
        prop_assert_eq!(&Entry::from(value), &entry);
        crate::fuzz::bencode(&bytes);
    }

    #[test]
    fn a_truncated_value_is_an_error_inside_the_input(entry in entries(), at in any::<prop::sample::Index>()) {
        let mut bytes = written(&entry);
        bytes.truncate(at.index(bytes.len()));
        let error = decode(&bytes, &Limits::METAINFO).unwrap_err();
        prop_assert!(error.offset() <= bytes.len());
    }

    #[test]
    fn a_changed_byte_never_panics(entry in entries(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = written(&entry);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        crate::fuzz::bencode(&bytes);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::bencode(&bytes);
    }

    #[test]
    fn any_bytes_of_the_alphabet_are_a_value_or_an_error(text in "[ilde0-3:-]{0,40}") {
        crate::fuzz::bencode(text.as_bytes());
    }
}
