//! What the API says of itself, held against what it does: by the official SDKs, by requests made up from its own document, and
//! by what its headers and client secrets promise.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kura_tests::search::tool;
use kura_tests::{Answer, Options, Stack, block_on, workspace};

/// How long requests are made up, unless `KURA_CONTRACT_SECONDS` says so.
const SECONDS: u32 = 60;

fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| Stack::start(Options::default().unlimited()))
}

fn python() -> PathBuf {
    workspace().join(tool("KURA_PYTHON", ".kura/tools/venv/bin/python"))
}

/// Runs a program to its end; shows what it said when it fails.
fn run(program: &Path, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).env("KURA_RUN_JSON", stack().state().join("run.json")).current_dir(stack().state());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo kura test` installs it", program.display()));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}:\n{said}");
    println!("{said}");
}

fn script(name: &str) -> String {
    workspace().join("tests/sdk").join(name).display().to_string()
}

/// The unmodified SDK makes its calls, sync and async; asks again after failures; and knows every error by its type.
#[test]
fn the_stripe_python_sdk_works() {
    run(&python(), &[&script("stripe_python.py")]);
}

/// The same with Node's.
#[test]
fn the_stripe_node_sdk_works() {
    run(&tool("KURA_NODE", "node"), &[&script("stripe_node.mjs")]);
}

/// Whatever is sent, no answer is a server's error, has a status, a type or a body that the document does not know.
#[test]
fn the_document_says_what_the_api_does() {
    let (stack, seconds) = (stack(), std::env::var("KURA_CONTRACT_SECONDS").unwrap_or_else(|_| SECONDS.to_string()));
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";
    let document = format!("{}/openapi.json", stack.run().gateway);
    let key = format!("Authorization: Bearer {}", stack.run().keys.sk_test);
    run(
        &python().with_file_name("schemathesis"),
        &[
            "--no-color",
            "run",
            &document,
            "--header",
            &key,
            "--checks",
            checks,
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "10",
            "--max-time",
            &seconds,
            "--continue-on-failure",
            "--no-shrink",
            "--warnings",
            "off",
            "--suppress-health-check",
            "all",
            // A stream does not end by itself.
            "--exclude-path",
            "/v1/events/stream",
        ],
    ); // fmt: skip
}

fn ask(path: &str, key: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = Stack::http().get(format!("{}{path}", stack().run().gateway)).bearer_auth(key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    block_on(async {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    })
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A version is a date, and the one that is served is told; what acts for another account is refused, nothing done.
#[test]
fn headers_mean_what_they_say() {
    let key = &stack().run().keys.sk_test;
    for version in ["2026-10-28.endive", "2019-12-03"] {
        let answer = ask("/v1/customers", key, &[("stripe-version", version)]);
        assert_eq!((answer.status, &answer.headers["stripe-version"]), (200, &"2026-10-28.endive".parse().unwrap()));
    }
    assert_eq!(code(&ask("/v1/customers", key, &[("stripe-version", "latest")])), is(400, "api_version_invalid"));
    for name in ["stripe-account", "stripe-context"] {
        assert_eq!(code(&ask("/v1/customers", key, &[(name, "acct_1")])), is(400, "connect_unsupported"));
        assert_eq!(code(&ask("/v1/customers", "sk_test_wrong", &[(name, "acct_1")])), is(401, "api_key_invalid"));
    }
    // Nothing is made for this account that was meant for another, and the key that came with it is free.
    let make = |headers: &[(&'static str, &str)]| {
        let url = format!("{}/v1/customers", stack().run().gateway);
        let mut request = Stack::http().post(url).bearer_auth(key).form(&[("description", "of-a-connected-account")]);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        block_on(async {
            let response = request.send().await.expect("an answer");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, text: response.text().await.expect("a body") }
        })
    };
    let made = || stack().sql("gateway", "SELECT count(*) FROM customers WHERE description = 'of-a-connected-account'");
    let once = ("idempotency-key", "of-a-connected-account");
    for name in ["stripe-account", "stripe-context", "stripe-anything"] {
        assert_eq!(code(&make(&[(name, "acct_1"), once])), is(400, "connect_unsupported"));
    }
    assert_eq!(made(), "0");
    assert_eq!((make(&[once]).status, made().as_str()), (200, "1"));
}

/// What SDKs tell of the machine that they run on is kept nowhere.
#[test]
fn what_sdks_tell_of_their_machine_is_not_kept() {
    let (stack, mark) = (stack(), "kura-marked-machine-93b1");
    let told = format!("{{\"uname\": \"{mark}\"}}");
    for name in ["x-stripe-client-user-agent", "x-stripe-client-telemetry", "x-stripe-client-other", "user-agent"] {
        assert_eq!(ask("/v1/customers", &stack.run().keys.sk_test, &[(name, &told)]).status, 200);
        assert_eq!(ask("/v1/customers/x", &stack.run().keys.sk_test, &[(name, &told)]).status, 404);
    }
    // Requests are put on record a little later.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let tables = "SELECT format('SELECT t::text FROM %I t', tablename) FROM pg_tables WHERE schemaname = 'public'";
    for table in stack.sql("gateway", tables).lines() {
        assert!(!stack.sql("gateway", table).contains(mark), "{table}");
    }
    for log in std::fs::read_dir(&stack.run().logs).expect("the logs") {
        let path = log.expect("a log").path();
        let text = std::fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains(mark), "{}", path.display());
    }
}

/// A publishable key reads the one object whose client secret it has, without what is the merchant's own; any other secret finds
/// nothing, and events don't have them.
#[test]
fn a_client_secret_opens_its_own_object() {
    let stack = stack();
    let keys = &stack.run().keys;
    let form =
        [("amount", "1200"), ("currency", "jpy"), ("payment_method_types[]", "card"), ("metadata[order]", "A-1")];
    for (path, form) in [("/v1/payment_intents", &form[..]), ("/v1/setup_intents", &form[3..])] {
        let made: Vec<_> = (0..2).map(|_| stack.post(path, &keys.sk_test, form).json()).collect();
        let (id, secret) = (made[0]["id"].as_str().unwrap(), made[0]["client_secret"].as_str().unwrap());
        let letters = secret.strip_prefix(&format!("{id}_secret_")).expect("its shape");
        assert!(letters.len() >= 25 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let read = |key: &str, id: &str, secret: &str| stack.read(&format!("{path}/{id}?client_secret={secret}"), key);
        let shown = read(&keys.pk_test, id, secret).json();
        assert_eq!((&shown["id"], &shown["client_secret"]), (&made[0]["id"], &made[0]["client_secret"]));
        assert_eq!(shown["metadata"], serde_json::json!({}), "the merchant's own data is not for the page");
        assert_eq!(code(&stack.read(&format!("{path}/{id}"), &keys.pk_test)), is(403, "secret_key_required"));
        assert_eq!(code(&stack.read(path, &keys.pk_test)), is(403, "secret_key_required"));
        let other = made[1]["client_secret"].as_str().unwrap();
        let nobody = format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '4' } else { '0' });
        for (key, id, secret) in [
            (&keys.pk_test, id, other),
            (&keys.pk_test, id, "x"),
            (&keys.pk_test, nobody.as_str(), secret),
            (&keys.sk_test, id, other),
            (&keys.other_pk_test, id, secret),
        ] {
            assert_eq!(code(&read(key, id, secret)), is(404, "resource_missing"), "{secret}");
        }
        let missing = stack.read(&format!("{path}/{nobody}"), &keys.sk_test).json()["error"]["message"].clone();
        assert_eq!(read(&keys.pk_test, id, other).json()["error"]["message"], missing, "as if it were not there");
        assert_eq!(read(&keys.sk_test, id, secret).json()["metadata"], serde_json::json!({"order": "A-1"}));
        let all = stack.sql("gateway", "SELECT t::text FROM events t");
        assert!(all.contains(id) && !all.contains("_secret_"), "events don't have it");
    }
}

/// Each operation, its path with `{id}` and the like filled in.
fn operations(ids: &[(&str, &str)]) -> Vec<(reqwest::Method, String)> {
    let document = stack().get(&format!("{}/openapi.json", stack().run().gateway)).json();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let mut path = path.clone();
            for (prefix, id) in ids {
                if path.starts_with(&format!("{prefix}/{{id}}")) {
                    path = path.replace("{id}", id);
                }
            }
            all.push((method.to_ascii_uppercase().parse().expect("a method"), path.replace(['{', '}'], "")));
        }
    }
    all
}

/// A client secret is good for looking at its object and for nothing else: with it a publishable key is refused at every other
/// operation that there is, and gets nothing else shown by `expand`.
#[test]
fn a_client_secret_is_for_looking_alone() {
    let stack = stack();
    let keys = &stack.run().keys;
    let customer = stack.post("/v1/customers", &keys.sk_test, &[("description", "of-the-merchant-alone")]).json();
    let customer = customer["id"].as_str().expect("an id");
    let form = [("amount", "1200"), ("currency", "jpy"), ("customer", customer), ("payment_method", "pm_card_visa")];
    let payment = stack.post("/v1/payment_intents", &keys.sk_test, &form).json();
    let setup = stack.post("/v1/setup_intents", &keys.sk_test, &form[2..]).json();
    let of = |object: &serde_json::Value, name: &str| object[name].as_str().expect("text").to_owned();
    let (id, secret) = (of(&payment, "id"), of(&payment, "client_secret"));
    let (setup_id, setup_secret) = (of(&setup, "id"), of(&setup, "client_secret"));
    let own = [format!("/v1/payment_intents/{id}"), format!("/v1/setup_intents/{setup_id}")];
    let all = operations(&[("/v1/payment_intents", &id), ("/v1/setup_intents", &setup_id)]);
    assert!(all.len() > 50 && own.iter().all(|own| all.iter().any(|(_, path)| path == own)));
    for (method, path) in all {
        let secret = if path.starts_with("/v1/setup_intents") { &setup_secret } else { &secret };
        let request = Stack::http().request(method.clone(), format!("{}{path}", stack.run().gateway));
        let request = request.bearer_auth(&keys.pk_test);
        let with_it = [("client_secret", secret.as_str())];
        let request = if method == "POST" { request.form(&with_it) } else { request.query(&with_it) };
        let answer = block_on(async {
            let response = request.send().await.expect("an answer");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, text: response.text().await.expect("a body") }
        });
        if method == "GET" && own.contains(&path) {
            assert_eq!(answer.status, 200, "{}", answer.text);
        } else if method == "POST" && path == "/v1/tokens" {
            assert_eq!(answer.status, 400, "what it is for");
        } else {
            assert_eq!(code(&answer), is(403, "secret_key_required"), "{method} {path}");
        }
    }
    for (path, secret) in own.iter().zip([&secret, &setup_secret]) {
        for what in ["customer", "payment_method", "latest_charge"] {
            let expanded = stack.read(&format!("{path}?client_secret={secret}&expand[]={what}"), &keys.pk_test);
            assert!(!expanded.text.contains("of-the-merchant-alone"), "{}", expanded.text);
            assert!(expanded.status != 200 || !expanded.json()[what].is_object(), "{}", expanded.text);
        }
    }
    let now = stack.read(&own[0], &keys.sk_test).json();
    assert_eq!(now["status"], "requires_confirmation", "nothing was done");
}

/// Client secrets are made for each answer. They lie in no table, in no log and in nothing that is sent: not where they were
/// answered, asked with, or answered again.
#[test]
fn client_secrets_lie_nowhere() {
    let stack = stack();
    let keys = &stack.run().keys;
    let form = [("amount", "1300"), ("currency", "jpy"), ("payment_method", "pm_card_visa")];
    let ask = || stack.try_post("/v1/payment_intents", &keys.sk_test, "client-secrets-lie-nowhere", &form);
    let (made, again) = (ask().expect("an answer").json(), ask().expect("an answer").json());
    assert_eq!(made, again);
    let setup = stack.try_post("/v1/setup_intents", &keys.sk_test, "client-secrets-lie-nowhere-2", &form[2..]);
    let setup = setup.expect("an answer").json();
    let mut letters = Vec::new();
    for (path, object) in [("payment_intents", &made), ("setup_intents", &setup)] {
        let (id, secret) = (object["id"].as_str().expect("an id"), object["client_secret"].as_str().expect("a secret"));
        let path = format!("/v1/{path}/{id}");
        for key in [&keys.pk_test, &keys.sk_test, &keys.other_pk_test] {
            stack.read(&format!("{path}?client_secret={secret}"), key);
            stack.read(&format!("{path}/{secret}?client_secret[]={secret}"), key);
        }
        stack.post(&format!("{path}/confirm"), &keys.pk_test, &[("client_secret", secret)]);
        assert_eq!(stack.post(&format!("{path}/confirm"), &keys.sk_test, &[]).status, 200);
        letters.push(secret.rsplit('_').next().expect("letters").to_owned());
    }
    let told = stack.read("/v1/events?limit=100", &keys.sk_test).text;
    assert!(told.contains(made["id"].as_str().expect("an id")) && !told.contains("_secret_"), "{told}");
    // Requests are put on record a little later.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let tables = "SELECT format('SELECT t::text FROM %I t', tablename) FROM pg_tables WHERE schemaname = 'public'";
    for database in ["gateway", "vault"] {
        for table in stack.sql(database, tables).lines() {
            let rows = stack.sql(database, table);
            assert!(letters.iter().all(|letters| !rows.contains(letters)), "{database}: {table}");
        }
    }
    for log in std::fs::read_dir(&stack.run().logs).expect("the logs") {
        let path = log.expect("a log").path();
        let text = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        assert!(letters.iter().all(|letters| !text.contains(letters)), "{}", path.display());
    }
}
