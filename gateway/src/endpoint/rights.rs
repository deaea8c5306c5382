//! What a key may do. Publishable keys are public and can make tokens; secret keys can do everything; restricted keys what
//! each of them was given, by resource and by reading or writing.

/// Which kind of key an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// Secret keys, and restricted ones that have the right.
    Secret,
    /// Publishable keys, from pages.
    Publishable,
    /// As [`Self::Secret`], and publishable ones for the one object whose client secret they have.
    ClientSecret,
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

impl Access {
    /// As rights have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What a restricted key was given: `customers:read`, `refunds:write`. One for each resource, in the order of their words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(Vec<(Resource, Access)>);

impl Rights {
    /// Reads the words. `None` where one of them is no right.
    pub fn parse<T: AsRef<str>>(words: &[T]) -> Option<Self> {
        let mut rights: Vec<(Resource, Access)> =
            words.iter().map(|word| Self::parse_one(word.as_ref())).collect::<Option<_>>()?;
        // The stronger one of a resource stands first, and stays.
        rights.sort_unstable_by_key(|(resource, access)| (resource.as_str(), std::cmp::Reverse(*access)));
        rights.dedup_by_key(|(resource, _)| *resource);
        Some(Self(rights))
    }

    /// As they are stored: a word that this program does not know gives nothing.
    pub fn stored(words: &[String]) -> Self {
        let known: Vec<&String> = words.iter().filter(|word| Self::parse_one(word).is_some()).collect();
        Self::parse(&known).unwrap_or_default()
    }

    fn parse_one(word: &str) -> Option<(Resource, Access)> {
        let (resource, access) = word.split_once(':')?;
        let access = [Access::Read, Access::Write].into_iter().find(|known| known.as_str() == access)?;
        Some((Resource::parse(resource)?, access))
    }

    /// The words.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(|(resource, access)| right_word(*resource, *access)).collect()
    }

    /// Whether this is among them.
    pub fn allow(&self, resource: Resource, access: Access) -> bool {
        self.0.iter().any(|(own, upto)| *own == resource && *upto >= access)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `customers:read`.
pub fn right_word(resource: Resource, access: Access) -> String {
    format!("{}:{}", resource.as_str(), access.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every right allows what it says and nothing else; writing includes reading, reading nothing more.
    #[test]
    fn rights_allow_what_they_say() {
        for own in Resource::ALL {
            for given in [Access::Read, Access::Write] {
                let rights = Rights::parse(&[right_word(*own, given)]).unwrap();
                assert_eq!(rights.words(), [right_word(*own, given)]);
                for asked in Resource::ALL {
                    assert_eq!(rights.allow(*asked, Access::Read), asked == own);
                    assert_eq!(rights.allow(*asked, Access::Write), asked == own && given == Access::Write);
                }
            }
        }
    }

    /// Words are exact; the stronger right of a resource counts, in any order; what is stored and unknown gives nothing.
    #[test]
    fn words_are_exact() {
        for wrong in
            ["", "customers", "customers:", "customers:all", "Customers:read", "customers:read ", "*:read", "a:write"]
        {
            assert_eq!(Rights::parse(&[wrong]), None, "{wrong}");
        }
        for both in [["customers:read", "customers:write"], ["customers:write", "customers:read"]] {
            assert_eq!(Rights::parse(&both).unwrap().words(), ["customers:write"]);
        }
        let stored = Rights::stored(&["customers:read".into(), "moon:write".into()]);
        assert_eq!(stored.words(), ["customers:read"]);
        assert!(Rights::stored(&["moon:write".into()]).is_empty());
    }
}
