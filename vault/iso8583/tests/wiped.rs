//! No heap block that held a PAN or a CVC goes back to the allocator with it: neither the codec's own buffers, nor a
//! copy left behind by one that grew.
#![allow(unsafe_code)] // An allocator can't be written without; it only looks, and passes everything on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kura_iso8583::{Class, Field, FrameReader, Message, Mti};

/// Turned around, so that this program's own constant is no hit.
const PAN_BACKWARDS: [u8; 16] = *b"9176543287654024";
const CVC_ELEMENT_BACKWARDS: [u8; 7] = *b"7373029";

static WATCHING: AtomicBool = AtomicBool::new(false);
static FREED: AtomicUsize = AtomicUsize::new(0);
static FOUND: AtomicUsize = AtomicUsize::new(0);

struct Watching;

fn holds(block: &[u8], backwards: &[u8]) -> bool {
    block.windows(backwards.len()).any(|window| window.iter().eq(backwards.iter().rev()))
}

fn look(pointer: *mut u8, len: usize) {
    if WATCHING.load(Ordering::Relaxed) {
        // Safety: the block is still allocated, and this long. Bytes of it that were never written hold what the
        // allocator left there, which is exactly what is looked at.
        let block = unsafe { std::slice::from_raw_parts(pointer, len) };
        FREED.fetch_add(1, Ordering::Relaxed);
        if holds(block, &PAN_BACKWARDS) || holds(block, &CVC_ELEMENT_BACKWARDS) {
            FOUND.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// Safety: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that a block is not found guilty of what its former owner left.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        look(pointer, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        look(pointer, layout.size());
        unsafe { System.realloc(pointer, layout, new_len) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn forwards<const N: usize>(backwards: [u8; N]) -> [u8; N] {
    let mut bytes = backwards;
    bytes.reverse();
    bytes
}

/// Builds, replaces, encodes, frames, reads and drops a message with a PAN and a CVC while every freed block is searched. A
/// block freed without being wiped is found, so the search itself works.
#[test]
fn freed_memory_holds_neither_pan_nor_cvc() {
    let pan = forwards(PAN_BACKWARDS);
    let pan = std::str::from_utf8(&pan).unwrap();
    let cvc = forwards(CVC_ELEMENT_BACKWARDS);
    let cvc = std::str::from_utf8(&cvc[4..]).unwrap();
    WATCHING.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let mut message = Message::new(Mti::Request(Class::Authorization));
        message.set(Field::Pan, pan).unwrap().set_cvc(cvc).unwrap();
        message.set(Field::Pan, pan).unwrap().set_cvc(cvc).unwrap();
        message.set(Field::Merchant, "MERCHANT0000001").unwrap();
        drop(message.encode());
        let frame = message.encode_frame();
        let mut reader = FrameReader::new();
        for _ in 0..100 {
            let (head, tail) = frame.split_at(30);
            for part in [head, tail] {
                reader.spare()[..part.len()].copy_from_slice(part);
                reader.filled(part.len());
            }
            let received = reader.next_message().unwrap().unwrap().unwrap();
            assert_eq!(received.field(Field::Pan), Some(pan));
            assert_eq!(received.cvc(), Ok(Some(cvc)));
        }
        // Half a frame waits while the reader goes.
        reader.spare()[..frame.len() - 1].copy_from_slice(&frame[..frame.len() - 1]);
        reader.filled(frame.len() - 1);
    }
    assert!(FREED.load(Ordering::Relaxed) > 1000);
    assert_eq!(FOUND.load(Ordering::Relaxed), 0);
    drop(std::hint::black_box(pan.to_owned()));
    assert_eq!(FOUND.load(Ordering::Relaxed), 1);
    WATCHING.store(false, Ordering::Relaxed);
}
