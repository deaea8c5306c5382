//! Every error code of the API, once: its word, its type, its HTTP status, its words, and what to do about it.

use axum::http::StatusCode;

/// Stripe's error types. A wrong key is an `invalid_request_error` with status 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// The key is missing, wrong, or not enough.
    Authentication,
    /// The request can't be done as it stands.
    InvalidRequest,
    /// The card was refused.
    Card,
    /// An Idempotency-Key was used in two ways.
    Idempotency,
    /// Too much at once.
    RateLimit,
    /// Our fault.
    Api,
}

impl ErrorType {
    /// The word in the envelope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication | Self::InvalidRequest => "invalid_request_error",
            Self::Card => "card_error",
            Self::Idempotency => "idempotency_error",
            Self::RateLimit => "rate_limit_error",
            Self::Api => "api_error",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $word:literal $kind:ident $status:literal $message:literal $remedy:literal;)*) => {
        /// A code of the closed set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $message] $variant,)*
        }

        impl Code {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the envelope.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Its type.
            pub const fn error_type(self) -> ErrorType {
                match self { $(Self::$variant => ErrorType::$kind,)* }
            }

            /// Its HTTP status.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Self::$variant => $status,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// What is said when there is nothing more precise to say.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What the reader can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    ApiKeyMissing "api_key_missing" Authentication 401
        "You did not provide an API key. Send it as 'Authorization: Bearer YOUR_KEY', or as the user name of Basic authentication."
        "Add the header. In the browser use the publishable key, on your server the secret key.";
    ApiKeyInvalid "api_key_invalid" Authentication 401
        "Invalid API key provided."
        "Copy the key again, whole; keys end in a checksum, so a missing letter is always noticed. A revoked key stops working within a second.";
    ApiKeyExpired "api_key_expired" Authentication 401
        "The API key provided has expired or was revoked."
        "Use the key that took its place.";
    AddressNotAllowed "address_not_allowed" Authentication 403
        "This API key can't be used from this address."
        "Add the address to those that the key allows, or send from one of them.";
    MorePermissionsRequired "more_permissions_required" Authentication 403
        "The restricted key does not have the right that this request needs."
        "Give the key the right that the message names, or use another key.";
    SecretKeyRequired "secret_key_required" Authentication 403
        "This API call cannot be made with a publishable API key. Use a secret API key, on your server."
        "Publishable keys make tokens, and read a payment or set-up whose `client_secret` comes with them.";
    PublishableKeyRequired "publishable_key_required" Authentication 403
        "Tokens are made from the card fields in the browser, with a publishable key."
        "Send sealed boxes with the publishable key that they were sealed for.";
    OriginNotAllowed "origin_not_allowed" Authentication 403
        "This page's origin is not among the origins allowed for the publishable key."
        "Add the exact origin (scheme, host and port) to the key. Card fields only work on pages of those origins.";
    RawCardDataRefused "raw_card_data_refused" InvalidRequest 400
        "The request holds what looks like a card number or security code. Nothing was kept of it. Card data must never reach your server or this API: use the card fields of kura.js, which seal it in the browser."
        "Mount the card fields and send the token. If a number of yours only looks like a card's, prefix it with a letter.";
    ParameterMissing "parameter_missing" InvalidRequest 400
        "A required parameter is missing."
        "Send the parameter named in `param`.";
    ParameterUnknown "parameter_unknown" InvalidRequest 400
        "The request has a parameter that this endpoint does not know."
        "Remove the parameter named in `param`, or check its spelling and nesting. Nothing is ignored silently.";
    ParameterInvalidEmpty "parameter_invalid_empty" InvalidRequest 400
        "A parameter is empty that can't be."
        "Leave the parameter out, or give it a value.";
    ParameterInvalidInteger "parameter_invalid_integer" InvalidRequest 400
        "A parameter must be a whole number."
        "Amounts are whole numbers of the smallest unit: 1000 is a thousand yen, or ten dollars.";
    ParameterInvalid "parameter_invalid" InvalidRequest 400
        "A parameter has a value that is not possible here."
        "See the message for what is possible.";
    AmountTooSmall "amount_too_small" InvalidRequest 400
        "The amount must be at least 1 in the smallest unit of the currency."
        "Send a positive amount.";
    AmountTooLarge "amount_too_large" InvalidRequest 400
        "The amount is larger than can be done here."
        "A payment is 99999999 at the most; a capture no more than was authorized; a refund no more than was captured and not yet given back.";
    MetadataTooLarge "metadata_too_large" InvalidRequest 400
        "Metadata can have 50 keys; keys have up to 40 characters without square brackets, values up to 500."
        "Keep larger data in your own database, under the payment's id.";
    ExpandUnknown "expand_unknown" InvalidRequest 400
        "This object has no such property that can be expanded."
        "Remove it from `expand`.";
    BodyMalformed "body_malformed" InvalidRequest 400
        "The request's body could not be read in the format that its Content-Type names."
        "Send UTF-8 as application/x-www-form-urlencoded with brackets for nesting, or as a JSON object.";
    ContentTypeUnsupported "content_type_unsupported" InvalidRequest 415
        "Send the body as application/x-www-form-urlencoded or application/json, without a Content-Encoding."
        "Set the Content-Type header.";
    BodyTooLarge "body_too_large" InvalidRequest 413
        "The request's body is larger than 256 KiB."
        "No request of this API needs more.";
    BodyTimeout "body_timeout" InvalidRequest 408
        "The request's body did not arrive in time."
        "Send it again.";
    ConnectUnsupported "connect_unsupported" InvalidRequest 400
        "The request has a header (Stripe-Account, Stripe-Context or another one) that acts for a connected account or context. There are none here; nothing was done."
        "Leave the header out, and use the key of the account that is meant.";
    ApiVersionInvalid "api_version_invalid" InvalidRequest 400
        "The Stripe-Version header is not a version of the API."
        "Send a date such as 2026-10-28, with or without its release's name, or leave the header out. Whatever it is, the version in the answer's header is served.";
    UrlUnknown "url_unknown" InvalidRequest 404
        "Unrecognized request URL. If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an object, make sure that you passed its id."
        "Check the path.";
    MethodNotAllowed "method_not_allowed" InvalidRequest 405
        "This URL does not know the HTTP method."
        "Use GET to read and POST to change.";
    ResourceMissing "resource_missing" InvalidRequest 404
        "No such object."
        "Check the id, and that the key is of the mode and account that made the object.";
    CustomerMismatch "customer_mismatch" InvalidRequest 400
        "The payment method belongs to another customer than the payment."
        "Name the customer that the payment method is attached to, or attach it first.";
    PaymentMethodAlreadyAttached "payment_method_already_attached" InvalidRequest 400
        "The payment method is attached to a customer already."
        "Detach it first.";
    PaymentMethodNotReusable "payment_method_not_reusable" InvalidRequest 400
        "This payment method came from a single-use token and was never saved, so it can't be used again."
        "Create a payment method from the token, and attach it to a customer, before the token is used.";
    PaymentMethodMissing "payment_intent_payment_method_missing" InvalidRequest 400
        "You cannot confirm this PaymentIntent because it is missing a payment method."
        "Send `payment_method`, or `payment_method_data` with a token.";
    PaymentIntentUnexpectedState "payment_intent_unexpected_state" InvalidRequest 400
        "The PaymentIntent's status does not allow this."
        "Retrieve it and look at its status.";
    SetupPaymentMethodMissing "setup_intent_payment_method_missing" InvalidRequest 400
        "You cannot confirm this SetupIntent because it is missing a payment method."
        "Send `payment_method`, or `payment_method_data` with a token.";
    CheckoutSessionUnexpectedState "checkout_session_unexpected_state" InvalidRequest 400
        "The checkout session is over, or its shopper is paying at this moment."
        "Retrieve it and look at its status. A new session is a new page.";
    InvoiceUnexpectedState "invoice_unexpected_state" InvalidRequest 400
        "The invoice's status does not allow this."
        "Retrieve it and look at its status.";
    SubscriptionUnexpectedState "subscription_unexpected_state" InvalidRequest 400
        "The subscription's status does not allow this."
        "Retrieve it and look at its status. A new customer's wish is a new subscription.";
    TestClockAdvancing "test_clock_advancing" InvalidRequest 400
        "The test clock is being turned. Nothing that lives by it can be changed meanwhile."
        "Wait until its status is ready, or for the event test_helpers.test_clock.ready.";
    SetupIntentUnexpectedState "setup_intent_unexpected_state" InvalidRequest 400
        "The SetupIntent's status does not allow this."
        "Retrieve it and look at its status.";
    ChargeNotRefundable "charge_not_refundable" InvalidRequest 400
        "There is nothing to refund: the payment was not captured."
        "Cancel a payment that was only authorized; refund one that was captured.";
    ChargeAlreadyRefunded "charge_already_refunded" InvalidRequest 400
        "The payment has been refunded in full already, or refunds for all of it are under way."
        "List the payment's refunds.";
    ChargeDisputed "charge_disputed" InvalidRequest 400
        "The charge is disputed by the cardholder, so it can't be refunded."
        "The money was taken back already. Answer the dispute, or give in to it.";
    DisputeAnswered "dispute_already_answered" InvalidRequest 400
        "The dispute was answered or decided before, or the time to answer is over."
        "Retrieve the dispute and look at its status.";
    EvidencePersonal "dispute_evidence_personal" InvalidRequest 400
        "This field of a dispute's evidence is about a person, so it is not taken."
        "The network knows the cardholder. Say what you must in uncategorized_text, which is passed on and not kept.";
    EvidenceNotStaged "dispute_evidence_not_staged" InvalidRequest 400
        "Evidence is not kept here, so it can't be sent later."
        "Collect it on your side, and send all of it in one request, with submit=true or without submit.";
    TokenAlreadyUsed "token_already_used" InvalidRequest 400
        "The token was used already: a token is for one payment, or for one saved payment method."
        "Ask for a new token from the card fields.";
    SealingKeyExpired "sealing_key_expired" InvalidRequest 400
        "The key that the card was sealed to is no longer valid."
        "kura.js fetches new keys and seals again by itself; a page that was open for long should be reloaded.";
    SealedBoxInvalid "sealed_box_invalid" InvalidRequest 400
        "The sealed box can't be opened: it was sealed for another key, page or time, it is damaged, or there is no card in it."
        "Make boxes with kura.js, and send each with the publishable key that it was made with.";
    SealedBoxExpired "sealed_box_expired" InvalidRequest 400
        "The sealed box is too old, or comes from a clock that is ahead."
        "Seal the card again, and check the device's clock.";
    WebhookEndpointsTooMany "webhook_endpoints_too_many" InvalidRequest 400
        "There are 16 webhook endpoints already, which is as many as there can be."
        "Delete one, or let one endpoint take more kinds of events.";
    CardDeclined "card_declined" Card 402
        "Your card was declined."
        "See `decline_code`. Ask the shopper for another card.";
    ExpiredCard "expired_card" Card 402
        "Your card has expired."
        "Ask for another card.";
    IncorrectCvc "incorrect_cvc" Card 402
        "Your card's security code is incorrect."
        "Ask for the card again.";
    CvcRequired "cvc_required" Card 402
        "Your card's security code is needed again. Nothing was charged. Please enter your card once more."
        "Codes are held for 15 minutes at the most and for one payment; you asked for one at a card's first charge. Ask for a new token from the card fields.";
    InvalidCvc "invalid_cvc" Card 402
        "Your card's security code is invalid."
        "Three digits, four for American Express.";
    IncorrectNumber "incorrect_number" Card 402
        "Your card number is incorrect."
        "Ask for the number again.";
    InvalidExpiryMonth "invalid_expiry_month" Card 402
        "Your card's expiration month is invalid."
        "1 to 12.";
    InvalidExpiryYear "invalid_expiry_year" Card 402
        "Your card's expiration year is invalid."
        "Four digits, not past and not too far ahead.";
    ProcessingError "processing_error" Card 402
        "An error occurred while processing your card. Nothing was charged. Try again in a little while."
        "Confirm the payment again.";
    AuthenticationRequired "authentication_required" Card 402
        "Your card's issuer wants to know that it is you. Please pay again yourself, so that it can ask."
        "The payment was off-session. Confirm it again with the shopper there, and send them to `next_action`.";
    AuthenticationFailed "payment_intent_authentication_failure" Card 402
        "The payment was not authenticated by the card's issuer. Nothing was charged."
        "Ask the shopper to try again, or for another card.";
    SetupAuthenticationFailed "setup_intent_authentication_failure" Card 402
        "The card was not authenticated by its issuer. It was not kept."
        "Ask the shopper to try again, or for another card.";
    NoticeUnverified "notice_signature_invalid" Authentication 401
        "The notice is not signed by the network, or not of now."
        "For payment networks: sign as Standard Webhooks has it, with the secret that was agreed, and send within five minutes.";
    AttemptExpired "payment_intent_payment_attempt_expired" InvalidRequest 400
        "The time to pay is over. Nothing was charged."
        "Confirm the payment again, with a payment method; the shopper gets new numbers.";
    ProviderDecline "payment_method_provider_decline" Card 402
        "The payment was refused by the shopper or the wallet. Nothing was charged."
        "Ask the shopper to try again, or for another way to pay.";
    IncompatibleMethod "payment_intent_incompatible_payment_method" InvalidRequest 400
        "The payment can't be made with this kind of payment method."
        "See `payment_method_types` of the payment, and what the kind of payment method allows: deposits are in yen, captured at once, by a shopper who is there, and not kept.";
    IdempotencyKeyReused "idempotency_key_reused" Idempotency 400
        "This Idempotency-Key was first used with other parameters, or for another endpoint. Use a new key for a new request."
        "Keys are remembered for 24 hours.";
    IdempotencyKeyInUse "idempotency_key_in_use" Idempotency 409
        "Another request with this Idempotency-Key is under way."
        "Try again in a moment, with the same key; you will get that request's answer.";
    IdempotencyKeyInvalid "idempotency_key_invalid" Idempotency 400
        "An Idempotency-Key is 1 to 255 printable ASCII characters."
        "Use a random UUID.";
    RateLimit "rate_limit" RateLimit 429
        "Too many requests. Slow down."
        "Wait as long as Retry-After says, then go on with exponential backoff.";
    Overloaded "overloaded" Api 503
        "Too busy to take the request. Nothing was done."
        "Try again with the same Idempotency-Key.";
    VaultUnavailable "vault_unavailable" Api 503
        "Card processing is not available at the moment. Nothing was charged."
        "Try again with the same Idempotency-Key.";
    Interrupted "interrupted" Api 503
        "The request was interrupted. Whether it was done is not known yet."
        "Try again with the same Idempotency-Key: the request carries on where it stopped, and never pays twice.";
    InternalError "internal_error" Api 500
        "Something went wrong on our side."
        "The same Idempotency-Key gets this same answer. Look whether the object is there before you ask with a new key. Quote the Request-Id if you write to us.";
}

impl Code {
    /// Whether trying again can help; `None` leaves it to the client's own rule.
    pub const fn should_retry(self) -> Option<bool> {
        match self {
            Self::IdempotencyKeyInUse | Self::VaultUnavailable | Self::Overloaded | Self::Interrupted => Some(true),
            Self::IdempotencyKeyReused | Self::RawCardDataRefused | Self::InternalError => Some(false),
            _ => None,
        }
    }

    /// Found before anything was done; an idempotency key is not used up by it.
    pub fn is_validation(self) -> bool {
        matches!(
            self,
            Self::ParameterMissing
                | Self::ParameterUnknown
                | Self::ParameterInvalidEmpty
                | Self::ParameterInvalidInteger
                | Self::ParameterInvalid
                | Self::MetadataTooLarge
                | Self::ExpandUnknown
        )
    }

    /// The request may be run again under the same seed, and goes on where it stopped; its answer must not be kept. All other
    /// answers are, a 500 too: what failed by a fault of ours would fail again.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Overloaded | Self::VaultUnavailable | Self::Interrupted | Self::RateLimit)
    }

    /// The code for a network's or a card's refusal, as merchants know it from Stripe.
    pub fn of_decline(decline_code: &str) -> Self {
        match decline_code {
            "authentication_required" => Self::AuthenticationRequired,
            "expired_card" => Self::ExpiredCard,
            "incorrect_cvc" => Self::IncorrectCvc,
            "incorrect_number" => Self::IncorrectNumber,
            "processing_error" => Self::ProcessingError,
            _ => Self::CardDeclined,
        }
    }

    /// The words for a stored error code.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Words are anchors on one page, so none may stand twice; statuses are errors; words end as sentences do.
    #[test]
    fn the_catalogue_is_sound() {
        let words: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
            assert!(code.message().ends_with('.'), "{code:?}");
            assert!(!code.remedy().is_empty(), "{code:?}");
            assert_eq!(Code::of_word(code.as_str()), Some(*code));
        }
    }
}
