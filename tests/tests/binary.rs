//! The binary as a file: what it needs from the machine it runs on.

use std::collections::BTreeSet;
use std::process::Command;

use backstay_tests::engine::binary;

/// The libraries of glibc, and the unwinder that every Rust program takes from the compiler.
const ALLOWED: [&str; 8] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

#[test]
fn it_links_nothing_but_glibc() {
    let output = Command::new("readelf")
        .args(["-d", "-W"])
        .arg(binary())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let needed: BTreeSet<_> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split_once('[')?.1.split_once(']'))
        .map(|(library, _)| library)
        .collect();
    assert!(needed.contains("libc.so.6"), "{text}");
    let others: Vec<_> = needed
        .iter()
        .filter(|library| !ALLOWED.contains(library))
        .collect();
    assert!(others.is_empty(), "it also needs {others:?}");
}
