//! The issuers' side of 3-D Secure, as a shopper meets it and as its journal has it.

use serde_json::Value;

use crate::{Stack, block_on};

/// A shopper in front of an issuer's page.
#[derive(Debug)]
pub struct Challenge {
    url: String,
}

impl Challenge {
    /// The page at this address, or the one that it leads to.
    pub fn at(url: &str) -> Self {
        let reached = block_on(async { Stack::http().get(url).send().await.expect("a page").url().to_string() });
        Self { url: reached }
    }

    /// What stands on the page.
    pub fn text(&self) -> String {
        block_on(async { Stack::http().get(&self.url).send().await.expect("a page").text().await.expect("its text") })
    }

    /// Types a code, or gives up; gives what stands on the page afterwards.
    pub fn enter(&self, form: &[(&str, &str)]) -> String {
        let request = Stack::http().post(&self.url).form(form);
        block_on(async { request.send().await.expect("a page").text().await.expect("its text") })
    }

    /// Types the code that was sent; gives the way back.
    ///
    /// # Panics
    /// When the page shows neither.
    pub fn confirm(&self) -> String {
        let code = between(&self.text(), "id=\"simulated-code\">", "<");
        way_back(&self.enter(&[("code", &code)]))
    }

    /// Gives up; gives the way back.
    pub fn cancel(&self) -> String {
        way_back(&self.enter(&[("cancel", "1")]))
    }
}

fn way_back(page: &str) -> String {
    between(page, "id=\"return\" href=\"", "\"").replace("&#38;", "&")
}

fn between(page: &str, before: &str, after: &str) -> String {
    let rest = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1;
    rest.split_once(after).expect("an end").0.to_owned()
}

/// Follows the way back to its end, without going to the merchant's page; gives the last address.
pub fn go_back(url: &str) -> String {
    let client = Stack::http_without_redirects();
    let answer = block_on(async { client.get(url).send().await.expect("an answer") });
    answer.headers().get("location").map_or_else(String::new, |to| to.to_str().expect("an address").to_owned())
}

/// The lines of the directory's journal.
pub fn journal(stack: &Stack) -> Vec<Value> {
    let text = std::fs::read_to_string(stack.state().join("networks/three_d_secure.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of the journal")).collect()
}

/// How often the directory was asked about this authentication.
pub fn times_asked(stack: &Stack, id: &str) -> usize {
    journal(stack).iter().filter(|line| line["begun"]["id"] == id).count()
}
