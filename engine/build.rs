//! Tells the derive of schemas what the model's words stand for.

// Cargo reads what a build script prints.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    utoipa_config::Config::new()
        .alias_for("Time", "chrono::DateTime<chrono::Utc>")
        .alias_for("SecretText", "String")
        .write_to_file();
}
