//! What wins, and how mistakes are told.

use super::*;
use crate::error::Code;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn variables_win_over_the_file_and_the_file_over_defaults() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("backstay.toml"),
        "stall_timeout = \"90s\"\nmemory = \"512MiB\"\nsocket_mode = \"0660\"\n",
    )
    .unwrap();
    let environment = environment(&[
        ("BACKSTAY_HOME", home.path().to_str().unwrap()),
        ("BACKSTAY_MEMORY", "160MiB"),
        ("BACKSTAY_WORKERS", "9"),
        ("BACKSTAY_RANGE_BLOCKS", "3"),
        ("BACKSTAY_VERIFY_WRITES", "0"),
        ("BACKSTAY_LISTEN", "127.0.0.1:8080, [::1]:8080"),
        ("BACKSTAY_PLAIN_HTTP", "1"),
        ("BACKSTAY_TOKEN", "not a key of the file"),
    ]);
    let config = Config::load(None, &environment, true).unwrap();
    assert_eq!(config.stall_timeout, Duration::from_secs(90));
    assert_eq!(config.memory_bytes, 160 << 20);
    assert_eq!(config.workers, 2, "as many as the memory allows");
    assert_eq!(config.socket_mode, 0o660);
    assert_eq!(config.range_blocks, std::num::NonZeroU32::new(3));
    assert!(!config.verify_writes);
    assert_eq!(config.drain_timeout, Duration::from_mins(1));
    assert_eq!(config.listen.addresses.len(), 2);
    assert!(config.listen.plain_http);
    assert_eq!(config.socket, home.path().join("backstay.sock"));
    assert_eq!(config.paths.data, home.path().join("data"));
}

#[test]
fn a_mistake_names_file_line_and_key() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("x.toml");
    for (text, expected) in [
        ("\n\nmemori = 3\n", "line 3, memori: unknown field"),
        (
            "workers = 2\nmemory = \"much\"\n",
            "line 2, memory: \"much\" is not a size",
        ),
        (
            "memory = \"1MiB\"\n",
            "line 1, memory: 1MiB is too little for one worker, the least is 128MiB",
        ),
        (
            "workers = 0\n",
            "line 1, workers: \"0\" is not a number from 1 on",
        ),
        (
            "socket_mode = \"rw\"\n",
            "line 1, socket_mode: \"rw\" is not a file mode",
        ),
        (
            "listen = [\"127.0.0.1:1\", \"x\"]\n",
            "line 1, listen: \"x\" is not an address with a port",
        ),
        ("workers = \n", "line 1, workers:"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Config::load(Some(&file), &environment(&[("HOME", "/h")]), false).unwrap_err();
        assert_eq!(error.code(), Code::ConfigInvalid);
        assert!(error.message().contains(expected), "{}", error.message());
        assert!(error.message().starts_with(file.to_str().unwrap()));
    }
}

#[test]
fn a_mistake_in_a_variable_names_it() {
    let environment = environment(&[("HOME", "/h"), ("BACKSTAY_STALL_TIMEOUT", "later")]);
    let error = Config::load(None, &environment, false).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("BACKSTAY_STALL_TIMEOUT: \"later\" is not a duration"),
        "{}",
        error.message()
    );
}

#[test]
fn a_file_named_by_the_caller_must_exist() {
    let error = Config::load(
        Some(Path::new("/nowhere/b.toml")),
        &environment(&[("HOME", "/h")]),
        false,
    )
    .unwrap_err();
    assert_eq!(error.code(), Code::ConfigInvalid);
}

#[test]
fn users_have_xdg_folders_and_services_system_ones() {
    let user = Paths::find(
        &environment(&[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/run/user/7")]),
        false,
    )
    .unwrap();
    assert_eq!(user.data, Path::new("/home/u/.local/share/backstay"));
    assert_eq!(user.runtime, Path::new("/run/user/7/backstay"));
    let service = Paths::find(&environment(&[]), true).unwrap();
    assert_eq!(service.data, Path::new("/var/lib/backstay"));
    assert!(Paths::find(&environment(&[]), false).is_err());
}
