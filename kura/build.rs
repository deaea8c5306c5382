//! Tells the program for which target it was built.

fn main() {
    println!("cargo::rustc-env=KURA_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
