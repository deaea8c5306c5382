//! ISO 8583:1987 as the vault and an acquirer speak it: a pure codec, without I/O, clock or randomness.
//!
//! Purpose: turn messages into bytes and back, byte for byte as the `default_ascii` specification of pyiso8583 has it
//! (`tests/tests/iso8583_interop.rs` proves it): message type in four digits, bitmaps in upper-case hexadecimal, lengths
//! and values in ASCII. A frame is a message behind its length in two bytes, big-endian.
//! What may enter: PAN (field 2) and CVC (inside field 48). What may leave: them, encoded, to the network.
//! What never does: a value in `Debug` or in an error; a copy that outlives its owner unwiped; track data or a PIN, for
//! which no field exists here.
//!
//! # The dialect
//!
//! | message | is |
//! |---|---|
//! | 0100/0110 | authorize |
//! | 0200/0210 | processing code 000000: authorize and capture; 200000: refund of what field 120 names |
//! | 0220/0230 | capture: the completion advice of an earlier 0100. Repeated until answered; a repeat gets the same answer |
//! | 0400/0410 | reversal: void on request |
//! | 0420/0430 | reversal advice: repeated until answered; an original that has not arrived yet is declined with 94 when it does |
//! | 0600/0610 | inquiry: what became of an earlier reference |
//! | 0800/0810 | network management: sign-on (field 70 = 001), echo (301) |
//!
//! **Every** message carries 7, 11 and 37; answers are matched by MTI and field 37, in any order. 37 is new in each message
//! that moves money (0100, 0200, 0220, 0400). Those that only ask about or take back another message (0420, 0600) may
//! carry the reference of the message they are about, or one of their own; 0800 carries any.
//!
//! | request | also carries |
//! |---|---|
//! | 0100, 0200/000000 | 2, 3, 4, 14, 22 (010), 25 (59), 41, 42, 49; 48 when there is a CVC |
//! | 0200/200000 | 3, 4, 41, 42, 49, 90, 120; 2 (and then 14) may be there, and is then checked against the original |
//! | 0220, 0400, 0420 | 4, 42, 49, 90, 120; 2, 3, 14, 22, 25, 41 may be there |
//! | 0600 | 42, 90, 120 |
//! | 0800 | 70 |
//!
//! An answer repeats 3, 4, 7, 11, 37, 41, 42, 49 and 70 where the request had them, and carries 39; 38 when something was
//! approved; 48 when a CVC was checked; 44 in inquiries. It never repeats the PAN or the CVC.
//!
//! - Field 48 and 120 hold elements: two letters or digits of tag, two digits of length, the value. In 48: `92` the CVC
//!   (requests), `87` what became of it (answers; M match, N no match, P not processed). In 120: `37` the reference of the
//!   message that this one is about.
//! - Field 90: MTI (4), STAN (6) and transmission time (10) of that message, then 22 zeros.
//! - A 0610 has in 39 the response code of the message asked about, with its 38 and 48, and 44 = `reversed` if it was taken
//!   back since. 39 = 25 says that nothing is known of it; 25 **with** 44 = `reversed` says that it never arrived, was taken
//!   back by an advice, and will be declined if it still arrives.
//! - Response codes: 00 approved; 12 not possible in the original's state; 13 amount out of bounds; 14 no such card; 21
//!   already reversed; 25 no such original of this merchant; 30 a field is missing or malformed; 94 reference seen before;
//!   and the issuer's declines 05, 41, 43, 51, 54, 82, 96.
//!
//! The length bounds of the variable fields are narrower than ISO's (48 and 120 stop at 255), so that every message
//! fits [`MAX_MESSAGE_LEN`].
//!
//! ```
//! use kura_iso8583::{Class, CvcResult, Field, FrameReader, Message, Mti, Original, Reference};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut request = Message::new(Mti::Request(Class::Authorization));
//! request.set(Field::Pan, "4242424242424242")?.set(Field::ProcessingCode, "000000")?;
//! request.set_amount_minor(1_000)?.set_cvc("123")?;
//! request.set(Field::TransmittedAt, "1122101112")?.set(Field::Stan, "000001")?;
//! request.set(Field::Reference, "ABCDEF012345")?;
//! let frame = request.encode_frame(); // Zeroizing<Vec<u8>>, the two bytes of length in front
//!
//! let mut reader = FrameReader::new();
//! reader.spare().get_mut(..frame.len()).ok_or("no room")?.copy_from_slice(&frame); // or a read() into spare()
//! reader.filled(frame.len());
//! let received = reader.next_message()?.ok_or("incomplete")??;
//! assert_eq!(received.field(Field::Reference), Some("ABCDEF012345"));
//! assert_eq!(received.cvc()?, Some("123"));
//!
//! let mut inquiry = Message::new(Mti::Request(Class::Inquiry));
//! let original = Original::of(&request).ok_or("the request lacks 7, 11 or 37")?;
//! inquiry.set_original(&original)?;
//! assert_eq!(inquiry.original()?.map(|original| original.reference), Reference::new("ABCDEF012345"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod elements;
mod field;
mod frame;
mod message;
mod mti;

pub use elements::{CvcResult, ElementError, Original, Proof, Reference};
pub use field::{Characters, Field, FieldError, FieldErrorKind, Length};
pub use frame::{FrameError, FrameReader, READER_CAPACITY};
pub use message::{DecodeError, MAX_FRAME_LEN, MAX_MESSAGE_LEN, Message};
pub use mti::{Class, Mti};
