//! The codec against anything that may come: any message survives, any bytes are refused without a panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

use kura_iso8583::{
    Characters, Class, CvcResult, DecodeError, Field, FieldError, FieldErrorKind, FrameError, FrameReader, Length,
    MAX_MESSAGE_LEN, Message, Mti, Original, Proof, READER_CAPACITY, Reference,
};
use proptest::prelude::*;

fn any_mti() -> impl Strategy<Value = Mti> {
    (proptest::sample::select(&Class::ALL), any::<bool>())
        .prop_map(|(class, answer)| if answer { Mti::Answer(class) } else { Mti::Request(class) })
}

fn any_value(field: Field) -> impl Strategy<Value = String> {
    let (min, max) = match field.length() {
        Length::Fixed(len) => (len, len),
        Length::TwoDigits(min, max) | Length::ThreeDigits(min, max) => (min, max),
    };
    let class = match field.characters() {
        Characters::Digits => "[0-9]",
        Characters::UpperAlphanumeric => "[0-9A-Z]",
        Characters::Printable => "[ -~]",
    };
    proptest::string::string_regex(&format!("{class}{{{min},{max}}}")).unwrap()
}

fn any_message() -> impl Strategy<Value = Message> {
    let fields = proptest::sample::subsequence(Field::ALL, 0..=Field::ALL.len());
    let values = fields.prop_flat_map(|fields| {
        fields.into_iter().map(|field| any_value(field).prop_map(move |value| (field, value))).collect::<Vec<_>>()
    });
    (any_mti(), values).prop_map(|(mti, values)| {
        let mut message = Message::new(mti);
        for (field, value) in values {
            message.set(field, &value).unwrap();
        }
        message
    })
}

fn same(left: &Message, right: &Message) -> bool {
    left.mti() == right.mti()
        && left.fields().eq(right.fields())
        && left.fields().all(|field| left.field(field) == right.field(field))
}

fn reads(reader: &mut FrameReader, bytes: &[u8]) {
    reader.spare()[..bytes.len()].copy_from_slice(bytes);
    reader.filled(bytes.len());
}

proptest! {
    /// Every message that can be built reads back from its bytes, field by field.
    #[test]
    fn every_message_round_trips(message in any_message()) {
        let bytes = message.encode();
        prop_assert!(bytes.len() <= MAX_MESSAGE_LEN);
        prop_assert_eq!(bytes.len(), bytes.capacity());
        prop_assert!(same(&message, &Message::decode(&bytes).unwrap()));
        let frame = message.encode_frame();
        prop_assert_eq!(frame.len(), frame.capacity());
        prop_assert_eq!(&frame[..2], &u16::try_from(bytes.len()).unwrap().to_be_bytes());
        prop_assert_eq!(&frame[2..], &**bytes);
    }

    /// Any bytes at all: a message or an error, never a panic; and what decodes encodes to the same bytes.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(&**message.encode(), &bytes[..]);
        }
    }

    /// Bytes near a message reach deeper than random ones: one byte changed, cut or added is refused or canonical too.
    #[test]
    fn damaged_messages_never_panic(message in any_message(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bytes = message.encode();
        let at = at.index(bytes.len());
        let mut changed = bytes.to_vec();
        changed[at] = byte;
        if let Ok(message) = Message::decode(&changed) {
            prop_assert_eq!(&**message.encode(), &changed[..]);
            let _ = (message.cvc(), message.cvc_result(), message.original());
        }
        prop_assert!(Message::decode(&bytes[..at]).is_err());
        let longer = [&bytes[..], &[byte]].concat();
        prop_assert_eq!(Message::decode(&longer).err(), Some(DecodeError::TrailingBytes));
    }

    /// However the stream is cut, the same messages come out, in order.
    #[test]
    fn frames_survive_any_cut(
        messages in proptest::collection::vec(any_message(), 1..40),
        cuts in proptest::collection::vec(1_usize..900, 1..50),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| message.encode_frame().to_vec()).collect();
        let (mut reader, mut received, mut rest) = (FrameReader::new(), Vec::new(), &stream[..]);
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            reads(&mut reader, now);
            rest = later;
            while let Some(message) = reader.next_message().unwrap() {
                received.push(message.unwrap());
            }
        }
        prop_assert!(reader.is_empty());
        prop_assert_eq!(received.len(), messages.len());
        prop_assert!(messages.iter().zip(&received).all(|(sent, received)| same(sent, received)));
    }

    /// Any stream: messages, errors, or an end, never a panic.
    #[test]
    fn arbitrary_streams_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let mut reader = FrameReader::new();
        reads(&mut reader, &bytes);
        while let Ok(Some(_)) = reader.next_message() {}
    }

    /// The elements inside fields 48, 90 and 120: any content is an element or an error.
    #[test]
    fn arbitrary_elements_never_panic(private in "[ -~]{1,255}", data in "[0-9]{42}", reference in "[ -~]{1,255}") {
        let mut message = Message::new(Mti::Request(Class::Inquiry));
        message.set(Field::PrivateData, &private).unwrap();
        message.set(Field::OriginalData, &data).unwrap();
        message.set(Field::OriginalReference, &reference).unwrap();
        let _ = (message.cvc(), message.cvc_result(), message.original());
    }

    /// What is put inside fields 48, 90 and 120 comes out again.
    #[test]
    fn elements_round_trip(
        cvc in "[0-9]{3,4}", class in proptest::sample::select(&Class::ALL), stan in "[0-9]{6}",
        transmitted_at in "[0-9]{10}", reference in "[0-9A-Z]{12}",
    ) {
        let original = Original {
            mti: Mti::Request(class), stan, transmitted_at, reference: Reference::new(&reference).unwrap(),
        };
        let mut message = Message::new(Mti::Request(Class::Authorization));
        message.set_cvc(&cvc).unwrap().set_original(&original).unwrap();
        let received = Message::decode(&message.encode()).unwrap();
        prop_assert_eq!(received.cvc(), Ok(Some(cvc.as_str())));
        prop_assert_eq!(received.original(), Ok(Some(original)));
    }
}

/// The wire format itself, written out by hand.
#[test]
fn the_bytes_are_those_of_the_standard() {
    let mut message = Message::new(Mti::Answer(Class::Financial));
    message.set(Field::ProcessingCode, "111111").unwrap().set(Field::ResponseCode, "05").unwrap();
    assert_eq!(&**message.encode(), b"0210200000000200000011111105");
    message.set(Field::NetworkManagementCode, "301").unwrap().set(Field::AdditionalResponse, "reversed").unwrap();
    assert_eq!(&**message.encode(), b"0210A00000000210000004000000000000001111110508reversed301");
}

/// Each way in which bytes can be wrong has its own refusal.
#[test]
fn wrong_bytes_are_refused_by_name() {
    let refusal = |bytes: &[u8]| Message::decode(bytes).unwrap_err();
    let field = |field, kind| DecodeError::Field(FieldError { field, kind });
    assert_eq!(refusal(b""), DecodeError::Truncated);
    assert_eq!(refusal(b"0120"), DecodeError::Mti);
    assert_eq!(refusal(b"\xff\xff\xff\xff"), DecodeError::Mti);
    assert_eq!(refusal(b"010020000000000000"), DecodeError::Truncated);
    assert_eq!(refusal(b"0100200000000000000g"), DecodeError::Bitmap);
    // Lower case, and a second bitmap without a field, are what other decoders take; a message has one encoding here.
    assert_eq!(refusal(b"0100a000000000000000"), DecodeError::Bitmap);
    assert_eq!(refusal(b"010080000000000000000000000000000000"), DecodeError::Bitmap);
    // A tertiary bitmap, track 2 and a PIN block.
    assert_eq!(refusal(b"010080000000000000008000000000000000"), DecodeError::UnknownField(65));
    assert_eq!(refusal(b"01000000000020000000"), DecodeError::UnknownField(35));
    assert_eq!(refusal(b"01000000000000001000"), DecodeError::UnknownField(52));
    assert_eq!(refusal(b"010040000000000000001142424242424"), field(Field::Pan, FieldErrorKind::Length));
    assert_eq!(refusal(b"010040000000000000002042424242424242424242"), field(Field::Pan, FieldErrorKind::Length));
    assert_eq!(refusal(b"01004000000000000000+64242424242424242"), field(Field::Pan, FieldErrorKind::Length));
    assert_eq!(refusal(b"01004000000000000000164242424242424 42"), field(Field::Pan, FieldErrorKind::Characters));
    assert_eq!(refusal(b"010040000000000000001642424242424242"), DecodeError::Truncated);
    assert_eq!(
        refusal(b"01002000000000000000\xff\xff\xff\xff\xff\xff"),
        field(Field::ProcessingCode, FieldErrorKind::Characters)
    );
    assert_eq!(refusal(b"010020000000000000000000000"), DecodeError::TrailingBytes);
}

/// A length that no message has ends the stream; a frame that is no message ends only itself.
#[test]
fn a_bad_frame_is_told_from_a_lost_stream() {
    let mut reader = FrameReader::new();
    reads(&mut reader, &[0, 0]);
    assert_eq!(reader.next_message().unwrap_err(), FrameError::Length(0));
    let mut reader = FrameReader::new();
    reads(&mut reader, &[0xff, 0xff]);
    assert_eq!(reader.next_message().unwrap_err(), FrameError::Length(u16::MAX));

    let mut reader = FrameReader::new();
    reads(&mut reader, &[0, 4]);
    reads(&mut reader, b"0120");
    reads(&mut reader, &Message::new(Mti::Request(Class::Inquiry)).encode_frame());
    assert_eq!(reader.next_message().unwrap().unwrap().unwrap_err(), DecodeError::Mti);
    assert_eq!(reader.next_message().unwrap().unwrap().unwrap().mti(), Mti::Request(Class::Inquiry));
    assert!(reader.next_message().unwrap().is_none());
}

/// There is always room for the rest of a frame, even when the buffer was filled to its end and half a frame waits.
#[test]
fn a_full_reader_makes_room() {
    let mut message = Message::new(Mti::Request(Class::Inquiry));
    message.set(Field::PrivateData, &"x".repeat(255)).unwrap();
    let stream = message.encode_frame().repeat(200);
    let (mut reader, mut rest, mut count) = (FrameReader::new(), &stream[..], 0);
    while !rest.is_empty() {
        let spare = reader.spare();
        assert!(!spare.is_empty());
        let len = spare.len().min(rest.len());
        spare[..len].copy_from_slice(&rest[..len]);
        reader.filled(len);
        rest = &rest[len..];
        while let Some(received) = reader.next_message().unwrap() {
            assert!(same(&message, &received.unwrap()));
            count += 1;
        }
    }
    assert!(stream.len() > READER_CAPACITY);
    assert_eq!(count, 200);
}

/// CVCs are three or four digits on both sides; a tag that comes twice, a cut element or a stray one is malformed.
#[test]
fn elements_are_strict() {
    let mut message = Message::new(Mti::Request(Class::Authorization));
    for cvc in ["", "12", "12345", "12x", "１２３"] {
        assert!(message.set_cvc(cvc).is_err());
    }
    assert_eq!(message.cvc(), Ok(None));
    for (private, cvc) in [
        ("9203123", Ok(Some("123"))),
        ("8701M92041234", Ok(Some("1234"))),
        ("8701M", Ok(None)),
        ("9203123920", Err(())),
        ("92031239203123", Err(())),
        ("9203", Err(())),
        ("92+3123", Err(())),
        ("920212", Err(())),
        ("9203abc", Err(())),
    ] {
        message.set(Field::PrivateData, private).unwrap();
        assert_eq!(message.cvc().map_err(|_| ()), cvc, "{private}");
    }
    for result in [CvcResult::Match, CvcResult::NoMatch, CvcResult::NotProcessed] {
        message.set_cvc_result(result).unwrap();
        assert_eq!(message.cvc_result(), Ok(Some(result)));
    }
    message.set(Field::PrivateData, "8701X").unwrap();
    assert!(message.cvc_result().is_err());
}

/// The original is named by both fields or by none, is a request of this dialect, and ends in zeros.
#[test]
fn originals_are_named_whole() {
    let named = |data: Option<&str>, reference: Option<&str>| {
        let mut message = Message::new(Mti::Request(Class::Inquiry));
        if let Some(data) = data {
            message.set(Field::OriginalData, data).unwrap();
        }
        if let Some(reference) = reference {
            message.set(Field::OriginalReference, reference).unwrap();
        }
        message.original().map_err(|error| error.field)
    };
    let data = "010000000111221011120000000000000000000000";
    let reference = "3712ABCDEF012345";
    assert!(named(Some(data), Some(reference)).unwrap().is_some());
    assert_eq!(named(None, None), Ok(None));
    assert_eq!(named(Some(data), None), Err(Field::OriginalReference));
    assert_eq!(named(None, Some(reference)), Err(Field::OriginalData));
    assert_eq!(named(Some(data), Some("3712abcdef012345")), Err(Field::OriginalReference));
    assert_eq!(named(Some(data), Some("9912ABCDEF012345")), Err(Field::OriginalReference));
    assert_eq!(named(Some("011000000111221011120000000000000000000000"), Some(reference)), Err(Field::OriginalData));
    assert_eq!(named(Some("010000000111221011120000000000000000000001"), Some(reference)), Err(Field::OriginalData));
}

/// Debug shows the type and the numbers of the fields, and neither it nor an error shows a value.
#[test]
fn debug_and_errors_hold_no_value() {
    let mut message = Message::new(Mti::Request(Class::Authorization));
    message.set(Field::Pan, "4242424242424242").unwrap().set_cvc("737").unwrap();
    assert_eq!(format!("{message:?}"), "Message(0100 [2, 48])");
    let error = message.set(Field::Pan, "4242424242424242 ").map(|_| ()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("4242"));
    let mut reader = FrameReader::new();
    reads(&mut reader, b"4242424242424242");
    assert_eq!(format!("{reader:?}"), "FrameReader(16 bytes)");
}

/// The proof stands beside the CVC, whichever came first, and what is set again is there once. No value is shown by Debug.
#[test]
fn a_proof_stands_beside_the_cvc() {
    let proof = |value, transaction_id| Proof { eci: "05", value, transaction_id };
    let whole = proof(Some("AAABBBCCCDDDEEEFFFGGGHHHIII="), Some("0af39f6a-1c4b-4e0f-9c58-5e0f6f1b2c3d"));
    let mut message = Message::new(Mti::Request(Class::Authorization));
    message.set_proof(whole).unwrap().set_cvc("737").unwrap().set_proof(whole).unwrap();
    let frame = message.encode();
    let message = Message::decode(&frame).unwrap();
    assert_eq!(message.cvc().unwrap(), Some("737"));
    assert_eq!(message.proof().unwrap(), Some(whole));
    assert!(!format!("{whole:?}{message:?}").contains("AAABBB"));
    let mut message = Message::new(Mti::Request(Class::Authorization));
    assert_eq!(message.proof().unwrap(), None);
    message.set_proof(proof(None, None)).unwrap();
    assert_eq!(message.proof().unwrap(), Some(proof(None, None)));
    let too_long = "x".repeat(41);
    for wrong in [Proof { eci: "5", ..whole }, proof(Some(""), None), proof(Some(&too_long), None)] {
        assert!(message.set_proof(wrong).is_err());
    }
}
