//! Server-sent events, as far as the gateway writes them: `id`, `event` and one line of `data`, between empty lines.

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message {
    /// To resume after.
    pub(super) id: String,
    /// What it carries.
    pub(super) data: String,
}

/// Puts them together from what arrives.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    current: Message,
}

impl Parser {
    /// What was completed by these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut complete = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                complete.extend(self.end_of(line.trim_end_matches('\r')));
            } else {
                self.line.push(*byte);
            }
        }
        complete
    }

    fn end_of(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.current);
            return (!message.data.is_empty()).then_some(message);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => value.clone_into(&mut self.current.id),
            "data" => self.current.data.push_str(value),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut, the messages are the same; comments are none.
    #[test]
    fn messages_survive_any_cut() {
        let text =
            ": open\n\nid: evt_1\nevent: a\ndata: {\"a\":\"\u{5c71}\"}\n\n: still here\n\nid: evt_2\r\ndata: 2\r\n\r\n";
        let expected = [("evt_1", "{\"a\":\"\u{5c71}\"}"), ("evt_2", "2")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let found: Vec<Message> = text.as_bytes().chunks(size).flat_map(|chunk| parser.feed(chunk)).collect();
            let found: Vec<(&str, &str)> = found.iter().map(|one| (one.id.as_str(), one.data.as_str())).collect();
            assert_eq!(found, expected, "by {size}");
        }
    }
}
