//! The engine's log: to standard error, for people or as JSON lines.

use std::io::{Stderr, Write};

use tracing_subscriber::EnvFilter;

/// Standard error, which may be a file on a full disk: that must not end who has something to say.
struct Undeterred(Stderr);

impl Write for Undeterred {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // There is no other place to say so.
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Starts logging. `BACKSTAY_LOG` takes a level or a filter like `info,backstay_engine=debug`.
pub(crate) fn start(verbose: u8, json: bool) {
    let default = match verbose {
        0 => "info",
        1 => "info,backstay=debug,backstay_engine=debug,backstay_httpd=debug",
        _ => "debug,backstay=trace,backstay_engine=trace,backstay_httpd=trace",
    };
    let filter = std::env::var("BACKSTAY_LOG")
        .ok()
        .filter(|text| !text.is_empty())
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Undeterred(std::io::stderr()))
        .with_ansi(false);
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
}
