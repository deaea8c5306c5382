//! Cuts a stream of bytes into messages. It does no I/O: the caller reads into [`FrameReader::spare`].

use zeroize::{Zeroize, Zeroizing};

use crate::message::{DecodeError, MAX_FRAME_LEN, MAX_MESSAGE_LEN, Message};

/// Bytes that a reader holds at the most.
pub const READER_CAPACITY: usize = 16 * MAX_FRAME_LEN;
const LEN_LEN: usize = 2;

/// The stream can't be followed any further: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length of zero, or above [`MAX_MESSAGE_LEN`].
    #[error("a frame of {0} bytes; 1 to {MAX_MESSAGE_LEN} are allowed")]
    Length(u16),
}

/// Gathers bytes, gives messages. One fixed buffer, in which what was used is wiped at once, and the rest on drop.
pub struct FrameReader {
    buffer: Zeroizing<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameReader({} bytes)", self.end - self.start)
    }
}

impl FrameReader {
    /// An empty one.
    pub fn new() -> Self {
        Self { buffer: Zeroizing::new(vec![0; READER_CAPACITY].into_boxed_slice()), start: 0, end: 0 }
    }

    /// Where to read into. Never empty when every message was taken before, since a frame is much shorter than the buffer.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.end < MAX_FRAME_LEN {
            self.move_to_front();
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Says how many bytes were read into [`Self::spare`].
    pub fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.len());
    }

    /// Whether the stream may end here: no frame has begun.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The next message; `None` while it is incomplete. The inner error is one message's, and the stream goes on behind it.
    ///
    /// # Errors
    /// [`FrameError`] when the stream can't be followed.
    pub fn next_message(&mut self) -> Result<Option<Result<Message, DecodeError>>, FrameError> {
        let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((announced, rest)) = waiting.split_first_chunk::<LEN_LEN>() else {
            return Ok(None);
        };
        let announced = u16::from_be_bytes(*announced);
        let len = usize::from(announced);
        if len == 0 || len > MAX_MESSAGE_LEN {
            return Err(FrameError::Length(announced));
        }
        let Some(bytes) = rest.get(..len) else {
            return Ok(None);
        };
        let message = Message::decode(bytes);
        self.used(LEN_LEN + len);
        Ok(Some(message))
    }

    fn used(&mut self, len: usize) {
        let end = self.start + len;
        if let Some(used) = self.buffer.get_mut(self.start..end) {
            used.zeroize();
        }
        self.start = end;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves what waits to the front, and wipes where it stood.
    fn move_to_front(&mut self) {
        let len = self.end - self.start;
        self.buffer.copy_within(self.start..self.end, 0);
        if let Some(stale) = self.buffer.get_mut(len..self.end) {
            stale.zeroize();
        }
        (self.start, self.end) = (0, len);
    }
}
