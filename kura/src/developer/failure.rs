//! How a command can fail, and which exit code says so.

use serde_json::Value;

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line can't be meant.
    #[error("{0}")]
    Usage(String),
    /// There is no key.
    #[error("no API key: put it into KURA_API_KEY, or send it on standard input with --key-stdin")]
    NoKey,
    /// The gateway said no.
    #[error("{message} [{code}{}]{}", param.as_ref().map(|param| format!(", {param}")).unwrap_or_default(),
        log.as_ref().map(|log| format!("\n  its log: {log}")).unwrap_or_default())]
    Refused {
        /// HTTP.
        status: u16,
        /// The error's code.
        code: String,
        /// In words.
        message: String,
        /// About which parameter.
        param: Option<String>,
        /// Where the request's log is.
        log: Option<String>,
    },
    /// Nobody answered.
    #[error("the gateway at {0} can't be reached: {1}")]
    Unreachable(String, String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// From an answer that is an error.
    pub(super) fn of_answer(status: u16, body: &Value) -> Self {
        let error = body.get("error");
        let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Value::as_str).map(str::to_owned);
        Self::Refused {
            status,
            code: text("code").unwrap_or_else(|| status.to_string()),
            message: text("message").unwrap_or_else(|| "The gateway refused.".to_owned()),
            param: text("param"),
            log: text("request_log_url"),
        }
    }

    /// What the process ends with.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::NoKey => 3,
            Self::Refused { status, .. } => match status {
                401 | 403 => 3,
                404 => 4,
                402 => 6,
                429 => 7,
                400..500 => 5,
                _ => 8,
            },
            Self::Unreachable(..) => 9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each kind of failure has its code, which scripts go by.
    #[test]
    fn exit_codes_are_those_that_help_names() {
        let refused = |status| Failure::of_answer(status, &json!({})).exit_code();
        let codes = [400, 401, 402, 403, 404, 409, 415, 429, 500, 503].map(refused);
        assert_eq!(codes, [5, 3, 6, 3, 4, 5, 5, 7, 8, 8]);
        for code in 0..=9 {
            assert!(super::super::EXIT_CODES.contains(&format!("   {code}  ")), "{code}");
        }
        assert_eq!((Failure::NoKey.exit_code(), Failure::Usage(String::new()).exit_code()), (3, 2));
        assert_eq!(Failure::Unreachable(String::new(), String::new()).exit_code(), 9);
    }

    /// What the gateway said is said, with its code and where to read on.
    #[test]
    fn errors_are_told() {
        let body = json!({"error": {"code": "parameter_unknown", "message": "No.", "param": "colour",
            "request_log_url": "http://localhost/v1/request_logs/req_1"}});
        let said = Failure::of_answer(400, &body).to_string();
        assert_eq!(said, "No. [parameter_unknown, colour]\n  its log: http://localhost/v1/request_logs/req_1");
    }
}
