//! What a key may do. Publishable keys are public and can make tokens; secret keys can do everything; restricted keys what
//! each of them was given, by resource and by reading or writing.

/// Which kind of key an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// Secret keys, and restricted ones that have the right.
    Secret,
    /// Publishable keys, from pages.
    Publishable,
}

/// Reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// `GET`.
    Read,
    /// `POST` and `DELETE`. Writing includes reading.
    Write,
}

macro_rules! resources {
    ($($variant:ident $word:literal $doc:literal;)*) => {
        /// A kind of objects that rights are given for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Resource {
            $(#[doc = $doc] $variant,)*
        }

        impl Resource {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As paths and rights have it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// As the documentation has it.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

resources! {
    BalanceTransactions "balance_transactions" "Balance transactions";
    Charges "charges" "Charges";
    CheckoutSessions "checkout_sessions" "Checkout sessions";
    Customers "customers" "Customers";
    Disputes "disputes" "Disputes";
    Events "events" "Events";
    Invoices "invoices" "Invoices";
    PaymentIntents "payment_intents" "Payment intents";
    PaymentMethods "payment_methods" "Payment methods";
    Prices "prices" "Prices";
    Products "products" "Products";
    Refunds "refunds" "Refunds";
    RequestLogs "request_logs" "Request logs";
    SetupIntents "setup_intents" "Setup intents";
    Subscriptions "subscriptions" "Subscriptions and their items";
    TestHelpers "test_helpers" "Test helpers";
    Tokens "tokens" "Tokens";
    WebhookEndpoints "webhook_endpoints" "Webhook endpoints";
}

impl Resource {
    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|resource| resource.as_str() == word)
    }
}

/// What an endpoint asks of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// Its kind.
    pub key: KeyRule,
    /// What it is about.
    pub resource: Resource,
    /// To read or to write.
    pub access: Access,
}
