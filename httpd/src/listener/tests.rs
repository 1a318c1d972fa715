//! Who gets the socket.

use super::*;

fn options(path: PathBuf) -> SocketOptions {
    SocketOptions {
        path,
        mode: 0o600,
        group: None,
    }
}

#[tokio::test]
async fn the_mode_is_set_and_the_file_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/engine.sock");
    let socket = bind_unix(&SocketOptions {
        mode: 0o660,
        ..options(path.clone())
    })
    .unwrap();
    let metadata = std::fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_answering_engine_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let first = bind_unix(&options(path.clone())).unwrap();
    let error = bind_unix(&options(path.clone())).unwrap_err();
    assert_eq!(error.code(), Code::EngineRunning);
    assert_eq!(error.code().exit(), 6);
    drop(first);
    bind_unix(&options(path)).unwrap();
}

#[tokio::test]
async fn a_dead_engines_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = bind_unix(&options(path.clone())).unwrap();
    StdUnixStream::connect(&path).unwrap();
    drop(socket);
}

#[tokio::test]
async fn a_successors_socket_survives_the_predecessor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let first = bind_unix(&options(path.clone())).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = bind_unix(&options(path.clone())).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
}

#[tokio::test]
async fn what_is_no_socket_is_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(
        bind_unix(&options(path.clone())).unwrap_err().code(),
        Code::Conflict
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn long_paths_and_unknown_groups_are_explained() {
    let error =
        bind_unix(&options(PathBuf::from(format!("/tmp/{}", "x".repeat(120))))).unwrap_err();
    assert_eq!(error.code(), Code::ConfigInvalid);
    assert!(error.hint_text().is_some());
    assert_eq!(
        group_id("no-such-group-here").unwrap_err().code(),
        Code::ConfigInvalid
    );
    assert_eq!(group_id("root").unwrap(), Gid::from_raw(0));
    assert_eq!(group_id("4711").unwrap(), Gid::from_raw(4711));
}
