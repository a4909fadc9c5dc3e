use super::super::members::MAX_DEPTH;
use super::*;
use crate::error::Error;
use crate::protocol::fields::{Field, FieldSource};
use crate::protocol::frame::{Frame, HeaderKind};

fn frame(header: &str) -> Result<Frame> {
    let bytes = bytes::Bytes::copy_from_slice(header.as_bytes());
    Frame::decode(HeaderKind::Json, bytes, header.len())
}

fn fields(raw: &str) -> Result<Vec<(String, String)>> {
    let fields = FieldSource::new(HeaderKind::Json, raw.as_bytes());
    fields.map(|field| field.map(|(name, value)| (name.into_owned(), value.into_owned()))).collect()
}

#[test]
fn what_java_accepts_is_accepted() {
    let least = r#"{"code":1,"opaque":2,"flag":0}"#;
    for header in [
        least,
        r#" { "flag" : 0 , "opaque" : 2 , "code" : 1 } "#,
        "\t{\r\n\"flag\":0,\n\"opaque\":2,\n\"code\":1\n}\n",
        r#"{"code":"1","opaque":"2","flag":"0"}"#,
        r#"{"code":9,"opaque":2,"flag":0,"code":1}"#,
        r#"{"code":1,"opaque":2,"flag":0,"remark":null,"extFields":null,"language":null,"version":null}"#,
        r#"{"new":[{"a":"]}\"{"},[1,-2.5e3]],"code":1,"old":true,"opaque":2,"none":null,"flag":0,"x":{"code":7}}"#,
    ] {
        let frame = frame(header).unwrap();
        assert_eq!((frame.code, frame.opaque, frame.flag, frame.version), (1, 2, 0, 0), "{header}");
        assert_eq!((frame.language, frame.remark().as_ref()), (Language::JAVA, ""), "{header}");
        assert_eq!(frame.fields().count(), 0, "{header}");
    }
}

#[test]
fn a_header_without_what_every_frame_has_is_an_error() {
    for header in [
        "",
        "null",
        "[]",
        "1",
        "{}",
        r#"{"code":1,"opaque":2}"#,
        r#"{"code":1,"flag":2}"#,
        r#"{"opaque":1,"flag":2}"#,
        r#"{"code":null,"opaque":2,"flag":0}"#,
        r#"{"code":1.5,"opaque":2,"flag":0}"#,
        r#"{"code":"x","opaque":2,"flag":0}"#,
        r#"{"code":2147483648,"opaque":2,"flag":0}"#,
        r#"{"code":true,"opaque":2,"flag":0}"#,
        r#"{"code":{},"opaque":2,"flag":0}"#,
        r#"{"code":1,"opaque":2,"flag":0,"version":"x"}"#,
        r#"{"code":1,"opaque":2,"flag":0,"extFields":"x"}"#,
        r#"{"code":1,"opaque":2,"flag":0,"extFields":[]}"#,
        r#"{"code":1,"opaque":2,"flag":0"#,
        r#"{"code":1,"opaque":2 "flag":0}"#,
        r#"{"code" 1,"opaque":2,"flag":0}"#,
        r#"{"code":,"opaque":2,"flag":0}"#,
        r#"{code:1,"opaque":2,"flag":0}"#,
        r#"{"code":1,"opaque":2,"flag":0,"#,
        r#"{"code":1,"opaque":2,"flag":0,"remark":"\"#,
        r#"{"code":1,"opaque":2,"flag":0,"remark":"\""#,
    ] {
        let error = frame(header).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{header}: {error:?}");
    }
}

#[test]
fn a_language_is_a_name_or_a_number_and_an_unknown_one_is_no_error() {
    for (written, language) in [
        ("\"GO\"", Language(9)),
        ("9", Language(9)),
        ("\"RUST\"", Language::RUST),
        ("\"NODE_JS\"", Language(13)),
        ("\"COBOL\"", Language(255)),
        ("\"\"", Language(255)),
        ("200", Language(200)),
        ("-1", Language(255)),
        ("999999999999", Language(255)),
        ("[]", Language(255)),
    ] {
        let header = format!(r#"{{"code":1,"language":{written},"opaque":2,"flag":0}}"#);
        assert_eq!(frame(&header).unwrap().language, language, "{written}");
    }
}

#[test]
fn values_that_are_not_strings_are_read_as_their_text() {
    let read = fields(r#"{"a":1,"b":true,"c":null,"d":-1.5e3,"e":"","f":{"x":1},"g":[1],"":"n"}"#).unwrap();
    let expected =
        [("a", "1"), ("b", "true"), ("d", "-1.5e3"), ("e", ""), ("f", r#"{"x":1}"#), ("g", "[1]"), ("", "n")];
    assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn of_two_fields_with_one_name_the_last_counts() {
    let frame = frame(r#"{"code":0,"extFields":{"offset":"1","offset":"2"},"opaque":2,"flag":1}"#).unwrap();
    assert_eq!(frame.header::<crate::protocol::rpc::offset::OffsetReply>().unwrap().offset, 2);
    assert_eq!(frame.field("offset").as_deref(), Some("2"));
}

#[test]
fn of_two_members_with_one_name_the_last_counts_wherever_it_stands() {
    let behind = r#""flag":1,"language":"JAVA","opaque":2,"serializeTypeCurrentRPC":"JSON","version":3}"#;
    for (between, code, remark, fields) in [
        ("", 1, "", vec![("a", "1")]),
        (r#""code":7,"x":{"b":"2"},"#, 7, "", vec![("a", "1")]),
        (r#""extFields":{"b":"2"},"#, 1, "", vec![("b", "2")]),
        (r#""extFields":null,"x":{},"#, 1, "", vec![]),
        (r#""remark":"r","x":{},"#, 1, "r", vec![("a", "1")]),
    ] {
        let header = format!(r#"{{"code":1,"extFields":{{"a":"1"}},{between}{behind}"#);
        let frame = frame(&header).unwrap();
        assert_eq!((frame.code, frame.flag, frame.remark().as_ref()), (code, 1, remark), "{header}");
        let read: Vec<_> = frame.fields().map(Result::unwrap).collect();
        assert_eq!(read, fields.into_iter().map(|(n, v)| (n.into(), v.into())).collect::<Vec<_>>(), "{header}");
    }
    // A value that looks like the end of the fields is none.
    let header = format!(r#"{{"code":1,"extFields":{{"a":"}}","b":"2"}},{behind}"#);
    assert_eq!(frame(&header).unwrap().field("b").as_deref(), Some("2"));
}

#[test]
fn a_field_that_cannot_be_read_fails_its_own_call_and_names_itself() {
    for (ext, what) in [("{}", "offset is missing"), (r#"{"offset":"x"}"#, "\"x\""), (r#"{"offset":""}"#, "offset")] {
        let frame = frame(&format!(r#"{{"code":0,"extFields":{ext},"opaque":2,"flag":1}}"#)).unwrap();
        let error = frame.header::<crate::protocol::rpc::offset::OffsetReply>().unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let frame = frame(r#"{"code":0,"extFields":{"a" 1},"opaque":2,"flag":1}"#).unwrap();
    assert!(frame.header::<crate::protocol::rpc::offset::OffsetReply>().is_err());
}

#[test]
fn booleans_are_true_in_any_case_and_false_otherwise() {
    for (text, expected) in [("true", true), ("TRUE", true), ("True", true), ("1", false), ("yes", false), ("", false)]
    {
        assert_eq!(bool::take("x", Some(text.into())).unwrap(), expected, "{text}");
    }
}

#[test]
fn escapes_are_undone_and_broken_ones_replaced() {
    for (raw, text) in [
        ("plain 中文 😀", "plain 中文 😀"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{C}\n\r\t"),
        (r"\u0001\u0002", "\u{1}\u{2}"),
        (r"\u4E2d", "中"),
        (r"\ud83d\ude00", "😀"),
        (r"a\ud83d", "a\u{FFFD}"),
        (r"\ud83dx", "\u{FFFD}x"),
        (r"\ud83d\n", "\u{FFFD}\n"),
        (r"\ud83d\u0041", "\u{FFFD}A"),
        (r"\ud83d\ud83d\ude00", "\u{FFFD}😀"),
        (r"\ude00", "\u{FFFD}"),
        (r"\u12", "\u{FFFD}"),
        (r"\u", "\u{FFFD}"),
        (r"\uD83D\u", "\u{FFFD}\u{FFFD}"),
        (r"\x", "x"),
        (r"\中", "中"),
        ("\\", "\u{FFFD}"),
    ] {
        assert_eq!(unescape(raw.as_bytes()), text, "{raw}");
    }
    assert_eq!(unescape(b"a\xFF\xFEb"), "a\u{FFFD}\u{FFFD}b");
    assert_eq!(unescape(b"\\\xFF"), "\u{FFFD}");
}

#[test]
fn any_text_survives() {
    let mut random = fastrand::Rng::with_seed(5);
    let all: String = (0..0x250).filter_map(char::from_u32).chain("中文😀\u{FFFF}\u{10FFFF}".chars()).collect();
    for round in 0..500 {
        let text: String = if round == 0 {
            all.clone()
        } else {
            (0..random.usize(0..60)).map(|_| random.char('\0'..='\u{3000}')).collect()
        };
        let mut out = Vec::new();
        write_escaped(&mut out, &text);
        assert_eq!(unescape(&out), text);
        assert_eq!(serde_json::from_slice::<String>(&[b"\"", &out[..], b"\""].concat()).unwrap(), text);
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    let nested = |depth| {
        let open = "[".repeat(depth);
        frame(&format!(r#"{{"x":{open}1{},"code":1,"opaque":2,"flag":0}}"#, "]".repeat(depth)))
    };
    assert!(nested(MAX_DEPTH).is_ok());
    assert!(nested(MAX_DEPTH + 1).unwrap_err().to_string().contains("deep"));
    assert!(nested(crate::rounds(1_000_000)).is_err());
}

#[test]
fn an_iteration_over_fields_ends_at_its_first_error() {
    for raw in [r#"{"a":"1""#, r#"{"a":"1",}"#, r#"{"a":"1" "b":"2"}"#, r#"{"a":"1","b"}"#, r#"{"a":"1","b":}"#] {
        let mut fields = FieldSource::new(HeaderKind::Json, raw.as_bytes());
        assert!(fields.next().unwrap().is_ok(), "{raw}");
        assert!(fields.next().unwrap().is_err(), "{raw}");
        assert!(fields.next().is_none(), "{raw}");
    }
}
