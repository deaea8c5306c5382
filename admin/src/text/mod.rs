//! What the console says, in each of its languages. A text that is missing in one of them does not compile.

mod en;
mod ja;

use axum::http::{HeaderMap, header};

/// A language of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Japanese.
    Japanese,
}

impl Language {
    /// The one that the browser likes best (RFC 9110, 12.5.4); English when it likes neither.
    pub fn preferred(headers: &HeaderMap) -> Self {
        let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (0, Self::English);
        for item in wanted.split(',').take(20) {
            let (tag, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = quality(parameters);
            let language = match tag.trim().split('-').next().map(str::to_ascii_lowercase).as_deref() {
                Some("en") => Self::English,
                Some("ja") => Self::Japanese,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }

    /// Its texts.
    pub fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::Japanese => &ja::TEXTS,
        }
    }
}

/// `q=0.8` in thousandths; 1000 when absent, 0 when malformed.
fn quality(parameters: &str) -> u16 {
    let Some(text) = parameters.trim().strip_prefix("q=") else { return 1000 };
    let quality = text.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
    (0..=1000).rev().find(|step| f32::from(*step) <= quality * 1000.0).unwrap_or(0)
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Every text of the console, in one language.
        #[derive(Debug)]
        #[allow(missing_docs)] // A field's name is the text's key; what it says stands in the languages' files.
        pub struct Texts {
            $($(#[$doc])* pub $name: &'static str,)*
        }

        #[cfg(test)]
        impl Texts {
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

texts! {
    lang, console, skip_to_content, navigation, payments, system, sign_out, signed_in_as, test_mode,
    sign_in, sign_in_lead, email, password, password_again, continue_, sign_in_refused, sign_in_expired,
    /// `{n}` is a whole number.
    wait_seconds,
    /// `{n}` is a whole number.
    wait_minutes,
    signed_out, passkey, passkey_sign_in_lead, passkey_use, passkey_start_over, passkey_cancelled, passkey_unsupported,
    passkey_working, passkey_needs_script, step_1_of_2, step_2_of_2,
    enrol, enrol_lead, enrol_welcome, enrol_password_rules, enrol_passkey_lead, enrol_passkey_create, enrol_refused,
    enrol_expired, link_gone, link_gone_lead,
    weak_short, weak_long, weak_common, weak_mismatch,
    filter_all, filter_label, amount, status, card, merchant, created, payment, payment_id, no_payments, no_payments_lead,
    no_matches, no_matches_lead, clear_filter, older, newest, pages, only_merchant, list_caption,
    details, description, received, refunded, failure, timeline, none, utc, back_to_payments, last_four_only,
    vault_away, vault_away_lead, attempt, request, reference, ledger_row, asked_by, record, fields, purpose, code,
    zone_gateway, zone_vault, zone_network, moved,
    kind_created, kind_processing, kind_succeeded, kind_declined, kind_captured, kind_canceled, kind_refunded,
    kind_resolved, kind_authorized, kind_failed, kind_opened, kind_refund_failed,
    status_succeeded, status_processing, status_requires_payment_method, status_requires_confirmation,
    status_requires_action, status_requires_capture, status_canceled, status_refunded, status_partially_refunded,
    system_lead, ready, not_ready, away, away_lead, version, running_since, checks, check_ok, check_failed, this_console,
    gateway, vault, no_checks,
    custody, custody_lead, custody_sealed, custody_unsealed, custody_node, custody_provider, custody_active, custody_pending, custody_rule, custody_entered, custody_missing, custody_no_sets, custody_your_share, custody_unseal_lead, custody_reshare_lead, custody_nothing_wanted, custody_share, custody_share_hint, custody_enter, custody_identity, custody_needs_script, custody_working, custody_failed, custody_untrusted, custody_taken, custody_done_unsealed, custody_done_replaced, custody_too_many, custody_wrong, custody_duplicate, custody_other_set, custody_retired, custody_unopenable, custody_known, custody_not_wanted, custody_away, share_not_a_share, share_version, share_groups, share_group_length, share_letter, share_mistyped, share_checksum,
    role_viewer, role_support, role_operator, role_security_officer, role_custodian, role_administrator,
    error_not_found, error_not_found_lead, error_forbidden, error_forbidden_lead, error_form, error_form_lead,
    error_busy, error_busy_lead, error_gateway, error_gateway_lead, error_internal, error_internal_lead,
    error_request, error_request_lead, error_reference, go_home,
}

impl Texts {
    /// A PaymentIntent's status; a word that isn't known is shown as it is.
    pub fn status_name<'a>(&'a self, status: &'a str) -> &'a str {
        match status {
            "succeeded" => self.status_succeeded,
            "processing" => self.status_processing,
            "requires_payment_method" => self.status_requires_payment_method,
            "requires_confirmation" => self.status_requires_confirmation,
            "requires_action" => self.status_requires_action,
            "requires_capture" => self.status_requires_capture,
            "canceled" => self.status_canceled,
            "refunded" => self.status_refunded,
            "partially_refunded" => self.status_partially_refunded,
            other => other,
        }
    }

    /// What a timeline's entry says; a word that isn't known is shown as it is.
    pub fn kind_name<'a>(&'a self, kind: &'a str) -> &'a str {
        match kind {
            "created" => self.kind_created,
            "processing" => self.kind_processing,
            "succeeded" => self.kind_succeeded,
            "declined" => self.kind_declined,
            "captured" => self.kind_captured,
            "canceled" => self.kind_canceled,
            "refunded" => self.kind_refunded,
            "refund_failed" => self.kind_refund_failed,
            "resolved" => self.kind_resolved,
            "authorized" | "requires_capture" => self.kind_authorized,
            "failed" => self.kind_failed,
            "opened" => self.kind_opened,
            other => other,
        }
    }

    /// A role.
    pub fn role_name(&self, role: crate::domain::role::Role) -> &'static str {
        use crate::domain::role::Role;
        match role {
            Role::Viewer => self.role_viewer,
            Role::Support => self.role_support,
            Role::Operator => self.role_operator,
            Role::SecurityOfficer => self.role_security_officer,
            Role::Custodian => self.role_custodian,
            Role::Administrator => self.role_administrator,
        }
    }

    /// How long to wait.
    pub fn wait(&self, wait: std::time::Duration) -> String {
        use crate::domain::throttle::{Unit, in_words};
        let (number, unit) = in_words(wait);
        let text = match unit {
            Unit::Seconds => self.wait_seconds,
            Unit::Minutes => self.wait_minutes,
        };
        text.replace("{n}", &number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(header: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, header.parse().unwrap());
        Language::preferred(&headers)
    }

    /// The browser's order decides, not ours; a language that the console hasn't is passed over.
    #[test]
    fn the_browser_chooses_the_language() {
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
        assert_eq!(preferred("ja"), Language::Japanese);
        assert_eq!(preferred("ja-JP,ja;q=0.9,en;q=0.8"), Language::Japanese);
        assert_eq!(preferred("en-US,en;q=0.9,ja;q=0.8"), Language::English);
        assert_eq!(preferred("fr, ja;q=0.5, en;q=0.7"), Language::English);
        assert_eq!(preferred("ja;q=0, de"), Language::English);
        assert_eq!(preferred(";;;q=x,,"), Language::English);
    }

    /// No text is empty in either language, and both have the same places for values.
    #[test]
    fn both_languages_say_everything() {
        for (english, japanese) in en::TEXTS.all().into_iter().zip(ja::TEXTS.all()) {
            assert!(!english.1.is_empty() && !japanese.1.is_empty(), "{}", english.0);
            assert_eq!(english.1.contains("{n}"), japanese.1.contains("{n}"), "{}", english.0);
        }
    }
}
